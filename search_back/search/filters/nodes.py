"""What a filter says, as a tree of frozen values; ``str`` of one is its canonical text.

The parser alone makes these, typed and bounded in depth; no ``And`` has an ``And`` among its
parts, no ``Or`` an ``Or``, no ``Not`` a ``Not``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from search_back.search.filters.instants import Instant
from search_back.search.filters.tokens import KEYWORDS, WORD

Sign = Literal["=", "!=", "<", "<=", ">", ">="]
Part = Literal["contains", "starts with", "ends with"]
Value = bool | Decimal | str | Instant
"""A literal; its type is that of the column beside it. Numbers are exact."""

_LONGEST_PLAIN = 40
"""Digits of a number that is written without an exponent."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column or, by more than one name, a field inside it; ``is_id``: the id of the row."""

    path: tuple[str, ...]
    is_id: bool = False

    def __str__(self) -> str:
        return ".".join(map(_name, self.path))


@dataclass(frozen=True, slots=True)
class Compare:
    """A column against a literal, or another column of the same kind."""

    column: Column
    sign: Sign
    value: Value | Column

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {_text(self.value)}"


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends included."""

    column: Column
    low: Value | Column
    high: Value | Column

    def __str__(self) -> str:
        return f"{self.column} between {_text(self.low)} and {_text(self.high)}"


@dataclass(frozen=True, slots=True)
class In:
    """One of some literals, of which none is there twice."""

    column: Column
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.column} in ({', '.join(map(_text, self.values))})"


@dataclass(frozen=True, slots=True)
class Match:
    """A part of a text; the case of letters does not matter."""

    column: Column
    part: Part
    text: str

    def __str__(self) -> str:
        return f"{self.column} {self.part} {_text(self.text)}"


@dataclass(frozen=True, slots=True)
class Has:
    """An element of a list that equals the literal; a null among them equals nothing."""

    column: Column
    value: Value

    def __str__(self) -> str:
        return f"{self.column} contains {_text(self.value)}"


@dataclass(frozen=True, slots=True)
class IsNull:
    column: Column

    def __str__(self) -> str:
        return f"{self.column} is null"


@dataclass(frozen=True, slots=True)
class Not:
    part: Node

    def __str__(self) -> str:
        inner = str(self.part)
        return f"not ({inner})" if isinstance(self.part, And | Or) else f"not {inner}"


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(f"({p})" if isinstance(p, Or) else str(p) for p in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


Node = Compare | Between | In | Match | Has | IsNull | Not | And | Or


def columns_of(node: Node) -> Iterator[Column]:
    """Every column of a tree, as often as it is named, in the order of the text."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from columns_of(part)
        case Not(part):
            yield from columns_of(part)
        case Compare(column, _, value):
            yield from (c for c in (column, value) if isinstance(c, Column))
        case Between(column, low, high):
            yield from (c for c in (column, low, high) if isinstance(c, Column))
        case _:
            yield node.column


def negated(node: Node) -> Node:
    """``not`` of it; in three-valued logic too, two of them are none."""
    return node.part if isinstance(node, Not) else Not(node)


def joined(kind: type[And] | type[Or], parts: list[Node]) -> Node:
    """One node of all parts, those of the same kind laid flat."""
    flat = [p for part in parts for p in (part.parts if isinstance(part, kind) else (part,))]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _name(name: str) -> str:
    if WORD.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return "`" + name.replace("`", "``") + "`"


def _text(value: Value | Column) -> str:
    if isinstance(value, Column):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        plain = abs(value.adjusted()) < _LONGEST_PLAIN
        return f"{value:f}" if plain else str(value)
    return "'" + str(value).replace("'", "''") + "'"
