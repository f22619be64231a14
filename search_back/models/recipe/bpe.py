"""Learn a byte-pair vocabulary in CLIP's file format from the words of the captions.

The algorithm is that of Sennrich et al., "Neural Machine Translation of Rare Words with Subword
Units" (2016), over bytes; the file is one that open_clip's `SimpleTokenizer(bpe_path=...)` reads.
"""

from __future__ import annotations

import gzip
import heapq
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import regex

from search_back.models.recipe.captions import (
    BACKGROUND_TEMPLATES,
    BACKGROUNDS,
    PAIR_TEMPLATES,
    SINGLE_TEMPLATES,
    TRIPLE_TEMPLATES,
    clean,
)
from search_back.models.recipe.categories import CATEGORIES
from search_back.models.recipe.concepts import LANGUAGES, Concept

MERGES = 6000
END_OF_WORD = "</w>"

# Splits as CLIP's tokenizer does: contractions, runs of letters, single digits, the rest.
_WORDS = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)
_LANGUAGE_WEIGHT = {"en": 6}
_TEMPLATE_WEIGHT = 200
_CATEGORY_WEIGHT = 20

Pair = tuple[str, str]


def vocabulary_size(merges: int) -> int:
    """256 bytes, each also as the end of a word, the merges, and two special tokens."""
    return 2 * 256 + merges + 2


def byte_symbols() -> dict[int, str]:
    """A printable character for every byte: its own where it has one, else one from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    symbols = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in symbols)
    return symbols | {byte: chr(256 + place) for place, byte in enumerate(others)}


def count_words(concepts: Iterable[Concept]) -> Counter[str]:
    """How often each word counts: names and keywords by language, then categories, templates."""
    words: Counter[str] = Counter()

    def add(text: str, weight: int) -> None:
        for word in _WORDS.findall(clean(text)):
            words[word] += weight

    for concept in concepts:
        for language in LANGUAGES:
            weight = _LANGUAGE_WEIGHT.get(language, 1)
            for text in (concept.names.get(language, ""), *concept.keywords.get(language, ())):
                add(text, weight)
    for category in CATEGORIES:
        for language in LANGUAGES:
            for phrase in category.phrases(language):
                add(phrase, _CATEGORY_WEIGHT)
    by_language = (*SINGLE_TEMPLATES.values(), *PAIR_TEMPLATES.values())
    for templates in (*by_language, TRIPLE_TEMPLATES, BACKGROUND_TEMPLATES, tuple(BACKGROUNDS)):
        for template in templates:
            add(template.replace("{}", " "), _TEMPLATE_WEIGHT)
    return words


def learn_merges(words: Mapping[str, int], limit: int) -> list[Pair]:
    """The `limit` most frequent merges, most frequent first; ties go in alphabetical order."""
    symbols = byte_symbols()
    counts: list[int] = []
    spelled: list[list[str]] = []
    for word, count in words.items():
        letters = [symbols[byte] for byte in word.encode()]
        letters[-1] += END_OF_WORD
        spelled.append(letters)
        counts.append(count)
    frequency: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for place, letters in enumerate(spelled):
        for pair in pairwise(letters):
            frequency[pair] += counts[place]
            places[pair].add(place)
    heap = [(-count, pair) for pair, count in frequency.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < limit:
        negative, pair = heapq.heappop(heap)
        if negative == 0 or frequency[pair] != -negative:
            continue  # a count from before a later merge
        merges.append(pair)
        changed: set[Pair] = set()
        for place in places.pop(pair):
            old = spelled[place]
            new = spelled[place] = merge(old, pair)
            for letters, sign in ((old, -1), (new, 1)):
                for touched in pairwise(letters):
                    frequency[touched] += sign * counts[place]
                    changed.add(touched)
                    if sign > 0:
                        places[touched].add(place)
        for touched in changed:
            if frequency[touched] > 0:
                heapq.heappush(heap, (-frequency[touched], touched))
    return merges


def merge(letters: list[str], pair: Pair) -> list[str]:
    """`letters` with every occurrence of `pair`, from the left, made one."""
    merged: list[str] = []
    place = 0
    while place < len(letters):
        if tuple(letters[place : place + 2]) == pair:
            merged.append(letters[place] + letters[place + 1])
            place += 2
        else:
            merged.append(letters[place])
            place += 1
    return merged


def write_vocabulary(path: Path, merges: Iterable[Pair]) -> None:
    """Write the merges in CLIP's format; the same merges give the same bytes."""
    text = "\n".join(["#version: search_back emoji", *(" ".join(pair) for pair in merges)])
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(text.encode())
    path.write_bytes(buffer.getvalue())
