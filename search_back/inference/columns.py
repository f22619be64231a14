"""Arrow types for JSON metadata whose keys and values are known only as they come.

A column has a type of its own only where that loses nothing. Where rows disagree (a number here,
a text there; objects of different keys) its values are stored as JSON texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import pyarrow as pa

Kind = Literal["null", "bool", "int", "wide", "float", "text", "list", "object", "mixed"]

_EXACT_IN_FLOAT = 2**53
_INT64 = 2**63
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Shape:
    """What the values of a column have in common.

    ``wide``: integers that a float cannot hold exactly. ``inner``: of a list. ``fields``: of an
    object, by name. ``mixed``: nothing, or nothing that a column can hold.
    """

    kind: Kind
    inner: Shape | None = None
    fields: tuple[tuple[str, Shape], ...] = ()

    def to_json(self) -> list[Any]:
        inner = None if self.inner is None else self.inner.to_json()
        return [self.kind, inner, [[name, shape.to_json()] for name, shape in self.fields]]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Shape:
        kind, inner, fields = value
        return cls(
            kind,
            None if inner is None else cls.from_json(inner),
            tuple((name, cls.from_json(shape)) for name, shape in fields),
        )


NULL = Shape("null")
MIXED = Shape("mixed")
_PLAIN: dict[type, Shape] = {
    type(None): NULL,
    bool: Shape("bool"),
    float: Shape("float"),
    str: Shape("text"),
}
_ARROW = {
    "null": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "wide": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "mixed": pa.string(),
}
_WIDER: dict[frozenset[Kind], Kind] = {
    frozenset(("int", "wide")): "wide",
    frozenset(("int", "float")): "float",
}


def shape_of(value: object, depth: int = 0) -> Shape:
    """The shape of one JSON value."""
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain
    if isinstance(value, int):
        wide = Shape("wide") if -_INT64 <= value < _INT64 else MIXED
        return Shape("int") if abs(value) <= _EXACT_IN_FLOAT else wide
    if depth >= _MAX_DEPTH:
        return MIXED
    if isinstance(value, list):
        return _list(reduce(merge, (shape_of(v, depth + 1) for v in value), NULL))
    assert isinstance(value, dict), type(value)
    return _object({key: shape_of(v, depth + 1) for key, v in value.items()})


def merge(one: Shape, other: Shape) -> Shape:
    """The narrowest shape that holds the values of both without a loss. It is associative."""
    if one == other or other.kind == "null":
        return one
    if one.kind == "null":
        return other
    if one.kind == other.kind == "list":
        return _list(merge(one.inner or NULL, other.inner or NULL))
    if one.kind == other.kind == "object":
        left, right = dict(one.fields), dict(other.fields)
        if left.keys() == right.keys():
            return _object({name: merge(shape, right[name]) for name, shape in left.items()})
        return MIXED
    wider = _WIDER.get(frozenset((one.kind, other.kind)))
    return MIXED if wider is None else Shape(wider)


def arrow_type(shape: Shape) -> pa.DataType:
    """The column type of a shape; ``mixed`` and all-null columns are texts."""
    if shape.kind == "list":
        return pa.list_(arrow_type(shape.inner or NULL))
    if shape.kind == "object":
        return pa.struct([(name, arrow_type(inner)) for name, inner in shape.fields])
    return _ARROW[shape.kind]


def arrow_array(values: Sequence[object], shape: Shape) -> pa.Array:
    """Values as a column of ``arrow_type(shape)``."""
    if shape.kind == "mixed":
        values = [None if v is None else json.dumps(v, ensure_ascii=False) for v in values]
    return pa.array(values, type=arrow_type(shape))


class ColumnShapes:
    """The shapes of all keys seen so far, in the order of their first appearance.

    ``maximum``: keys after the first so many are counted in ``left_out`` and not stored, so that
    objects keyed by, say, a file name do not make a column each. ``known``: keys that rows before
    these have brought, which count. For one thread.
    """

    def __init__(self, maximum: int, known: Iterable[str] = ()) -> None:
        self._free = maximum
        self._admitted = set(known)
        self._free -= len(self._admitted)
        self._shapes: dict[str, Shape] = {}
        self.left_out = 0

    def observe(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Take note of one row; what of it is to be stored."""
        stored: dict[str, Any] = {}
        for key, part in value.items():
            if key not in self._admitted:
                if self._free <= 0:
                    self.left_out += 1
                    continue
                self._admitted.add(key)
                self._free -= 1
            self._shapes[key] = merge(self._shapes.get(key, NULL), shape_of(part))
            stored[key] = part
        return stored

    def shapes(self) -> dict[str, Shape]:
        return dict(self._shapes)


def joined(several: Iterable[Mapping[str, Shape]]) -> dict[str, Shape]:
    """The shapes of rows that were observed in parts, in the order of their first appearance."""
    shapes: dict[str, Shape] = {}
    for part in several:
        for key, shape in part.items():
            shapes[key] = merge(shapes.get(key, NULL), shape)
    return shapes


def _list(inner: Shape) -> Shape:
    return MIXED if inner.kind == "mixed" else Shape("list", inner=inner)


def _object(fields: dict[str, Shape]) -> Shape:
    if not fields or any(shape.kind == "mixed" for shape in fields.values()):
        return MIXED  # Parquet has no objects without fields.
    return Shape("object", fields=tuple(sorted(fields.items(), key=lambda pair: pair[0])))
