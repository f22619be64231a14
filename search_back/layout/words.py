"""The words of a caption, in any script."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Han and kana are written without blanks: two characters stand for a word, as in Lucene's
# CJKAnalyzer.
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
# Articles, prepositions, conjunctions and the like of the page's languages. Where one kind of
# picture has sentences for captions and another has titles, statistics would find them telling.
_WITHOUT_MEANING: Final = (
    "about an and are as at be by for from has have he her his in into is it its no not of off "
    "on or over she that the their them there these they this those to under up was were what "
    "which who while with "
    "aber als am an auf aus bei das dem den der des die durch ein eine einem einen einer eines "
    "für gegen hat im in ist mit nach neben nicht oder ohne sich sie sind über um und unter vom "
    "von vor wie zu zum zur zwischen "
    "au aux avec ce ces cette chez dans de des du elle en est et il la le les leur ne ou où par "
    "pas pour qui sa sans ses son sont sous sur un une vers "
    "al ante como con contra de del desde el ella en entre es esta este hacia hasta la las lo "
    "los más ni para pero por que se sin sobre son su sus un una uno unos unas "
)
_LITTLE: Final = frozenset(_WITHOUT_MEANING.split())


class _Letters(dict[int, str]):
    """Maps letters and their marks to themselves, all else to a blank; learns as it is asked."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = found = character if unicodedata.category(character)[0] in "LM" else " "
        return found


_LETTERS: Final = _Letters()


def words_of(text: str) -> set[str]:
    """Its words in lower case, each once; no numbers, no single letters, no "the" and "of".

    Han and kana come in overlapping pairs, or alone where they stand alone.
    """
    letters = unicodedata.normalize("NFC", text).lower().translate(_LETTERS)
    found = set()
    for run in _UNSPACED.findall(letters):
        found.update({run} if len(run) == 1 else {run[i : i + 2] for i in range(len(run) - 1)})
    found.update(word for word in _UNSPACED.sub(" ", letters).split() if len(word) > 1)
    return found - _LITTLE
