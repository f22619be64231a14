"""The tokens of a filter, one after the other."""

from __future__ import annotations

from typing import Final

from search_back.errors import BadFilter
from search_back.search.filters.nodes import Sign
from search_back.search.filters.tokens import KEYWORDS, Token, bad, tokenize

_SIGNS: Final[dict[str, Sign]] = {
    "=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
}  # fmt: skip


class Cursor:
    """One pass over the tokens of a text; raises ``BadFilter`` where another had to come."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._at = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def ended(self) -> bool:
        return self.next.sort == "end"

    def take_sign(self) -> Sign | None:
        """The comparison that comes next, if one does."""
        sign = _SIGNS.get(self.next.text) if self.next.sort == "sign" else None
        self._at += sign is not None
        return sign

    def take_name(self, remedy: str) -> str:
        token = self.next
        if token.sort != "name" and (token.sort != "word" or token.is_word(*KEYWORDS)):
            raise self.bad("the name of a column is missing", remedy=remedy)
        self._at += 1
        return token.text

    def take_literal(self) -> Token:
        token = self.next
        if token.is_word("null"):
            raise self.bad("nothing equals null", remedy="write: is null, is not null")
        if token.sort not in ("number", "text") and not token.is_word("true", "false"):
            raise self.bad("a literal is missing", remedy="a number, 'a text', true or false")
        self._at += 1
        return token

    def take(self, sign: str) -> bool:
        """Whether that sign comes next; if so, it is behind."""
        found = self.next.is_sign(sign)
        self._at += found
        return found

    def take_word(self, word: str) -> bool:
        found = self.next.is_word(word)
        self._at += found
        return found

    def need_word(self, word: str) -> None:
        if not self.take_word(word):
            raise self.bad(f"{word!r} is missing")

    def need_sign(self, sign: str) -> None:
        if not self.take(sign):
            raise self.bad(f"{sign!r} is missing")

    def bad(self, what: str, *, at: int | None = None, remedy: str = "") -> BadFilter:
        """The error at a character; None: at the next token."""
        return bad(self._text, self.next.start if at is None else at, what, remedy=remedy)
