"""The text of a filter, cut into words, names, literals and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from search_back.errors import BadFilter

Sort = Literal["word", "name", "text", "number", "sign", "end"]

_OPERATORS = ("in", "between", "contains", "starts", "ends", "with", "is")
KEYWORDS: Final = frozenset(("and", "or", "not", *_OPERATORS, "null", "true", "false"))
"""Words that are no names of columns, in any case; a column called so stands in backticks."""

WORD: Final = re.compile(r"[^\W\d]\w*")
_TOKEN: Final = re.compile(
    rf"""
      (?P<word>{WORD.pattern})
    | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<text>'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*")
    | (?P<name>`[^`]*(?:``[^`]*)*`)
    | (?P<sign><=|>=|<>|!=|==|[=<>(),.])
    """,
    re.VERBOSE,
)
_SPACE: Final = re.compile(r"\s*")
_BEFORE, _AFTER = 12, 24


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a filter.

    ``text``: as written, but of ``text`` and ``name`` what stands between the quotes; ``start``:
    of which character, from 0.
    """

    sort: Sort
    text: str
    start: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of those keywords, in any case."""
        return self.sort == "word" and self.text.lower() in words

    def is_sign(self, *signs: str) -> bool:
        return self.sort == "sign" and self.text in signs


def tokenize(text: str) -> list[Token]:
    """The tokens of a text, an ``end`` last; raises ``BadFilter``."""
    tokens = []
    place = _skip(text, 0)
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unreadable(text, place)
        sort: Sort = found.lastgroup  # type: ignore[assignment]
        piece, end = found[0], found.end()
        if sort == "number" and WORD.match(text, end):
            raise bad(text, place, "a number runs into a word", remedy="put a space between")
        if sort in ("text", "name"):
            piece = piece[1:-1].replace(piece[0] * 2, piece[0])
        tokens.append(Token(sort, piece, place))
        place = _skip(text, end)
    return [*tokens, Token("end", "", len(text))]


def bad(text: str, place: int, what: str, *, remedy: str = "") -> BadFilter:
    """The error of a text, with some characters around the place."""
    start, end = max(0, place - _BEFORE), place + _AFTER
    shown = f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
    return BadFilter(what, position=place, value=shown or "nothing", remedy=remedy)


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _unreadable(text: str, place: int) -> BadFilter:
    character = text[place]
    if character in "'\"`":
        what = f"a quote {character} is never closed"
        return bad(text, place, what, remedy="close it; inside, write it twice")
    remedy = "a filter is like: width > 512 and caption contains 'dog'"
    return bad(text, place, f"{character!a} has no meaning in a filter", remedy=remedy)
