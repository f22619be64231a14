"""From the text of a filter to a typed tree.

::

    filter     = all { "or" all }
    all        = one { "and" one }
    one        = { "not" } ( "(" filter ")" | test )
    test       = column | operand ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) operand
               | column "is" [ "not" ] "null"
               | column [ "not" ] ( "in" "(" literal { "," literal } ")"
                                  | "between" operand "and" operand
                                  | ( "contains" | "starts" "with" | "ends" "with" ) literal )
    operand    = column | literal
    column     = name { "." name }
    name       = a word that is no keyword, or anything in backticks
    literal    = number | text in '' or "" | "true" | "false"

Keywords may be in any case. A column of booleans alone stands for ``column = true``. What it
means:

- As in SQL, a comparison with null is unknown, so is ``not`` of it, and unknown rows do not pass.
  NaN equals nothing and is less than nothing, but it is not null.
- ``=`` on text is exact. ``contains``, ``starts with`` and ``ends with`` take a letter for all its
  cases, by Unicode's simple folding (É for é, ẞ for ß, not SS). Order is that of code points.
- ``contains`` on a list: an element equals the literal. A null among them equals nothing.
- Numbers and times compare exactly, but a column of floats takes a literal at its own precision.
- A time is quoted ISO 8601; without an offset it is UTC, as is a column without a zone. A date is
  its midnight.
- ``id`` is the id of the row, where no column is called so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from search_back.errors import ConfigError
from search_back.search.filters.cursor import Cursor
from search_back.search.filters.filter import Filter
from search_back.search.filters.kinds import Kind, find, kind_of, plain_type, remedy_for
from search_back.search.filters.literals import read_literal, wanted
from search_back.search.filters.nodes import (
    And,
    Between,
    Column,
    Compare,
    Has,
    In,
    IsNull,
    Match,
    Node,
    Or,
    Part,
    Sign,
    Value,
    joined,
    negated,
)
from search_back.search.filters.tokens import Token, bad

_DEEPEST: Final = 100
_MIRRORED: Final[dict[Sign, Sign]] = {
    "=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """How much a filter may ask for.

    ``characters`` of its text; ``depth``: parentheses within one another (100 at most); ``terms``:
    comparisons and the like; ``members`` of one ``in``.
    """

    characters: int = 4_096
    depth: int = 50
    terms: int = 256
    members: int = 1_000

    def __post_init__(self) -> None:
        if self.depth > _DEEPEST:
            raise ConfigError(
                "the depth of a filter is too large", value=self.depth, remedy=f"≤ {_DEEPEST}"
            )


DEFAULT_LIMITS: Final = FilterLimits()


def parse(text: str, schema: pa.Schema, *, limits: FilterLimits = DEFAULT_LIMITS) -> Filter:
    """A filter of rows with that schema; raises ``BadFilter`` with the place and what to do."""
    if len(text) > limits.characters:
        raise bad(
            text,
            limits.characters,
            f"a filter has at most {limits.characters} characters",
            remedy=f"shorten it: it has {len(text)}",
        )
    return Filter(_Parser(text, schema, limits).filter())


@dataclass(frozen=True, slots=True)
class _Typed:
    """A column with its type, and where the text names it."""

    column: Column
    type: pa.DataType
    kind: Kind
    start: int


class _Parser(Cursor):
    """The grammar, and what may be asked of which column."""

    def __init__(self, text: str, schema: pa.Schema, limits: FilterLimits) -> None:
        super().__init__(text)
        self._schema = schema
        self._limits = limits
        self._depth = 0
        self._terms = 0

    def filter(self) -> Node:
        if self.ended():
            raise self.bad("a filter is empty", remedy="say what rows must be like, or leave it")
        node = self._any()
        if not self.ended():
            raise self.bad("the filter goes on where it should end", remedy="join with and, or")
        return node

    def _any(self) -> Node:
        parts = [self._all()]
        while self.take_word("or"):
            parts.append(self._all())
        return joined(Or, parts)

    def _all(self) -> Node:
        parts = [self._one()]
        while self.take_word("and"):
            parts.append(self._one())
        return joined(And, parts)

    def _one(self) -> Node:
        turned = False
        while self.take_word("not"):
            turned = not turned
        node = self._group() if self.next.is_sign("(") else self._test()
        return negated(node) if turned else node

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > self._limits.depth:
            raise self.bad(f"parentheses go at most {self._limits.depth} deep")
        self.need_sign("(")
        node = self._any()
        self.need_sign(")")
        self._depth -= 1
        return node

    def _test(self) -> Node:
        self._terms += 1
        if self._terms > self._limits.terms:
            raise self.bad(f"a filter has at most {self._limits.terms} terms")
        left = self._operand()
        if isinstance(left, Token):
            sign = self.take_sign()
            if sign is None:
                raise self.bad("a comparison is missing", remedy="after a literal: = < > …")
            return self._compare(self._column("compare with a column"), _MIRRORED[sign], left)
        if (sign := self.take_sign()) is not None:
            return self._compare(left, sign, self._operand())
        if self.take_word("is"):
            turned = self.take_word("not")
            self.need_word("null")
            node: Node = IsNull(left.column)
        else:
            turned = self.take_word("not")
            node = self._asked(left, turned)
        return negated(node) if turned else node

    def _asked(self, left: _Typed, turned: bool) -> Node:
        """What follows a column in words."""
        if self.take_word("in"):
            return self._in(left)
        if self.take_word("between"):
            self._need_order(left)
            low = self._value(left, self._operand())
            self.need_word("and")
            return Between(left.column, low, self._value(left, self._operand()))
        if self.take_word("contains"):
            return self._contains(left)
        for word in ("starts", "ends"):
            if self.take_word(word):
                self.need_word("with")
                return self._match(left, "starts with" if word == "starts" else "ends with")
        if left.kind == "truth" and not turned:
            return Compare(left.column, "=", True)
        raise self.bad(
            f"column {left.column} must be compared with something",
            remedy="= != < <= > >= in, between, contains, starts with, ends with, is null",
        )

    def _compare(self, left: _Typed, sign: Sign, right: _Typed | Token) -> Node:
        if sign not in ("=", "!="):
            self._need_order(left)
        return Compare(left.column, sign, self._value(left, right))

    def _in(self, left: _Typed) -> Node:
        self.need_sign("(")
        values: dict[Value, None] = {}
        for count in range(self._limits.members + 1):
            if count == self._limits.members:
                raise self.bad(f"in has at most {self._limits.members} members")
            values[self._literal(left.column, left.type, self.take_literal())] = None
            if not self.take(","):
                break
        self.need_sign(")")
        return In(left.column, tuple(values))

    def _contains(self, left: _Typed) -> Node:
        if left.kind != "list":
            return self._match(left, "contains")
        element = plain_type(left.type.value_type)
        return Has(left.column, self._literal(left.column, element, self.take_literal()))

    def _match(self, left: _Typed, part: Part) -> Node:
        if left.kind not in ("text", "nothing"):
            raise self.bad(f"column {left.column} is {left.type}, not text", at=left.start)
        type_ = left.type if left.kind == "text" else pa.string()
        value = self._literal(left.column, type_, self.take_literal())
        return Match(left.column, part, str(value))

    def _value(self, left: _Typed, right: _Typed | Token) -> Value | Column:
        if isinstance(right, Token):
            return self._literal(left.column, left.type, right)
        kinds = {left.kind, right.kind}
        if kinds & {"list", "other"} or len(kinds - {"nothing"}) > 1:
            raise self.bad(
                f"column {left.column} is {left.type}, column {right.column} is {right.type}",
                at=right.start,
                remedy="compare columns of one kind",
            )
        return right.column

    def _literal(self, column: Column, type_: pa.DataType, token: Token) -> Value:
        """The value of a token for a column, or for the elements of a list, of that type."""
        try:
            value = read_literal(token, kind_of(type_))
        except ValueError as error:
            raise self.bad(str(error), at=token.start) from error
        if value is None:
            what = f"column {column} is {type_}"
            raise self.bad(what, at=token.start, remedy=wanted(column, type_))
        return value

    def _operand(self) -> _Typed | Token:
        if self.next.sort in ("number", "text") or self.next.is_word("true", "false", "null"):
            return self.take_literal()
        return self._column("give a column or a literal")

    def _column(self, remedy: str) -> _Typed:
        start = self.next.start
        names = [self.take_name(remedy)]
        while self.take("."):
            names.append(self.take_name("after a dot, name a field"))
        found = find(names, self._schema)
        if found is None:
            what = f"there is no column {Column(tuple(names))}"
            raise self.bad(what, at=start, remedy=remedy_for(".".join(names), self._schema))
        column, type_ = found
        return _Typed(column, type_, kind_of(type_), start)

    def _need_order(self, left: _Typed) -> None:
        if left.kind in ("truth", "list", "other"):
            remedy = "use = or !=" if left.kind == "truth" else "ask whether it is null"
            raise self.bad(
                f"column {left.column} is {left.type}, which has no order",
                at=left.start,
                remedy=remedy,
            )
