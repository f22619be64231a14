"""What a literal means beside a column of some kind."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

import pyarrow as pa

from search_back.search.filters.instants import Instant
from search_back.search.filters.kinds import Kind, kind_of
from search_back.search.filters.nodes import Column, Value
from search_back.search.filters.tokens import Token

_LARGEST, _SMALLEST = 307, -400
"""Powers of ten: what float64 holds, and what it takes for zero."""

_WANTED: Final[dict[Kind, str]] = {
    "truth": "give true or false",
    "number": "give a number",
    "text": "give a text in quotes",
    "time": "give a date or a time such as '2024-02-29' or '2024-02-29T12:00:00Z', in quotes",
    "list": "ask what it contains, or whether it is null",
}


def read_literal(token: Token, kind: Kind) -> Value | None:
    """The value of a literal for a column of a kind; None where it is not of that kind.

    Raises ``ValueError`` with what is wrong with a literal that no column could be compared with.
    """
    if token.sort == "number":
        return _number(token.text) if kind in ("number", "nothing") else None
    if token.sort == "word":
        return token.is_word("true") if kind in ("truth", "nothing") else None
    if kind == "time":
        return Instant.parse(token.text)
    return _text(token.text) if kind in ("text", "nothing") else None


def wanted(column: Column, type_: pa.DataType) -> str:
    """What to write beside a column of a type."""
    if pa.types.is_struct(type_):
        return f"name one of its fields, as in {column}.field"
    return _WANTED.get(kind_of(type_), "such a column can only be asked whether it is null")


def _number(text: str) -> Decimal:
    """Exactly as written, but one value for 1, 1.0 and 1e0, and none for -0."""
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise ValueError("a number has too large an exponent") from error
    if not value:
        return Decimal(0)
    if not _SMALLEST <= value.adjusted() <= _LARGEST:
        raise ValueError("a number is too large or too small")
    return Context(prec=len(text)).normalize(value)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text is not valid Unicode") from error
    return text
