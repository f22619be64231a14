"""What can be asked of a column of which type, and how a column is found by its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

import pyarrow as pa

from search_back.search.filters.nodes import Column

Kind = Literal["truth", "number", "text", "time", "list", "nothing", "other"]
"""``nothing``: a column of nulls; ``other``: one that can only be null or not."""

PSEUDO_ID: Final = Column(("id",), is_id=True)
"""The id of the row, where no column is called so."""

_DEEPEST, _SHOWN = 4, 20
_IS = pa.types
_TESTS: Final[tuple[tuple[Kind, tuple[Callable[[pa.DataType], bool], ...]], ...]] = (
    ("truth", (_IS.is_boolean,)),
    ("number", (_IS.is_integer, _IS.is_floating, _IS.is_decimal)),
    ("text", (_IS.is_string, _IS.is_large_string, _IS.is_string_view)),
    ("time", (_IS.is_timestamp, _IS.is_date)),
    ("list", (_IS.is_list, _IS.is_large_list, _IS.is_fixed_size_list)),
    ("nothing", (_IS.is_null,)),
)


def kind_of(type_: pa.DataType) -> Kind:
    """Of a type, which :func:`plain_type` has seen."""
    return next((kind for kind, tests in _TESTS if any(t(type_) for t in tests)), "other")


def plain_type(type_: pa.DataType) -> pa.DataType:
    """Without dictionary and extension."""
    if isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def find(path: Sequence[str], schema: pa.Schema) -> tuple[Column, pa.DataType] | None:
    """The column of a name, or the field by the names on the way to it; None where there is none.

    ``id`` is the id of the row where no column is called so.
    """
    place = schema.get_field_index(path[0])
    if place < 0:
        return (PSEUDO_ID, pa.int64()) if tuple(path) == PSEUDO_ID.path else None
    type_ = plain_type(schema.field(place).type)
    for name in path[1:]:
        if not pa.types.is_struct(type_) or (inner := type_.get_field_index(name)) < 0:
            return None
        type_ = plain_type(type_.field(inner).type)
    return Column(tuple(path)), type_


def remedy_for(name: str, schema: pa.Schema) -> str:
    """What to say of a name that no column has: the nearest, and which there are."""
    known = {str(column): column.path for column in _known(schema.names, schema.types, ())}
    # A field may be named without what it is a field of.
    lower = {path[-1].lower(): text for text, path in known.items()}
    lower |= {".".join(path).lower(): text for text, path in known.items()}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    hint = f"did you mean {lower[near[0]]}? " if near else ""
    shown = ", ".join(list(known)[:_SHOWN]) or "none"
    return f"{hint}There are: {shown}{' and more' if len(known) > _SHOWN else ''}"


def _known(
    names: Sequence[str], types: Sequence[pa.DataType], above: tuple[str, ...]
) -> Iterator[Column]:
    """Every column, and the fields of structs in the place of the struct."""
    for name, outer in zip(names, types, strict=True):
        path, type_ = (*above, name), plain_type(outer)
        if pa.types.is_struct(type_) and type_.num_fields and len(path) < _DEEPEST:
            fields = [type_.field(i) for i in range(type_.num_fields)]
            yield from _known([f.name for f in fields], [f.type for f in fields], path)
        else:
            yield Column(path)
