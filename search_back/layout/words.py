"""The words of a caption, in any script."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Han and kana are written without blanks: two characters stand for a word, as in Lucene's
# CJKAnalyzer.
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


class _Letters(dict[int, str]):
    """Maps letters and their marks to themselves, all else to a blank; learns as it is asked."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = found = character if unicodedata.category(character)[0] in "LM" else " "
        return found


_LETTERS: Final = _Letters()


def words_of(text: str) -> set[str]:
    """Its words in lower case, each once; no numbers, no single letters.

    Han and kana come in overlapping pairs, or alone where they stand alone.
    """
    letters = unicodedata.normalize("NFC", text).lower().translate(_LETTERS)
    found = set()
    for run in _UNSPACED.findall(letters):
        found.update({run} if len(run) == 1 else {run[i : i + 2] for i in range(len(run) - 1)})
    found.update(word for word in _UNSPACED.sub(" ", letters).split() if len(word) > 1)
    return found
