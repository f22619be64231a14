"""What clusters are called: the words of their captions that tell most of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from search_back.layout.words import words_of
from search_back.types import IdArray

WORDS: Final = 3
TELLING: Final = 1.5
_ENDING: Final = 2  # letters by which forms of one word may differ, as "dog" and "dogs" do


def telling_words(
    captions: Sequence[str], labels: IdArray, clusters: int, most: int = WORDS
) -> list[tuple[str, ...]]:
    """For each cluster up to ``most`` words, the most telling first.

    ``labels``: ``(n,)`` the cluster of each caption. Words are weighed by class-based TF-IDF,
    ``tf(t, c) · log(1 + A / f(t))`` with ``tf`` the share of a word in the words of its cluster,
    ``f`` its number in all and ``A`` the words of a cluster on average (Grootendorst, "BERTopic",
    2022, arXiv:2203.05794, section 3.3); a caption counts a word once. A word that captions of the
    other clusters say nearly as often (``TELLING``) tells nothing and is left out: so go the stop
    words of languages that ``words_of`` does not know.
    """
    counts: list[Counter[str]] = [Counter() for _ in range(clusters)]
    captioned = [0] * clusters
    for caption, label in zip(captions, labels.tolist(), strict=True):
        found = words_of(caption)
        counts[label].update(found)
        captioned[label] += bool(found)
    total: Counter[str] = Counter()
    for own in counts:
        total.update(own)
    average = sum(total.values()) / max(1, clusters)
    every = sum(captioned)
    names = []
    for own, size in zip(counts, captioned, strict=True):
        words = sum(own.values())
        others = every - size
        weights = {
            word: count / words * math.log1p(average / total[word])
            for word, count in own.items()
            if not others or count / size >= TELLING * (total[word] - count) / others
        }
        names.append(_first_unlike(sorted(weights, key=lambda w: (-weights[w], w)), most))
    return names


def _first_unlike(words: Iterable[str], most: int) -> tuple[str, ...]:
    """The first words of which none is a form of another."""
    chosen: list[str] = []
    for word in words:
        if len(chosen) == most:
            break
        if not any(_is_form(word, other) or _is_form(other, word) for other in chosen):
            chosen.append(word)
    return tuple(chosen)


def _is_form(word: str, stem: str) -> bool:
    return word.startswith(stem) and len(stem) > 2 and len(word) - len(stem) <= _ENDING
