"""A tree on a batch of rows, in the three-valued logic of SQL: true, false, unknown (null)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search_back.search.filters import nodes
from search_back.search.filters.compare import compare, compare_columns, is_in
from search_back.search.filters.nodes import Column, Node, Sign, Value

_MATCH: Final[dict[nodes.Part, Callable[..., pa.Array]]] = {
    "contains": pc.match_substring,
    "starts with": pc.starts_with,
    "ends with": pc.ends_with,
}


def truth(node: Node, batch: pa.RecordBatch, start_id: int) -> pa.BooleanArray:
    """What the tree says of each row; null: unknown. ``start_id``: the id of the first row."""

    def of(part: Node) -> pa.Array:
        return truth(part, batch, start_id)

    def column(name: Column) -> pa.Array:
        return read(name, batch, start_id)

    match node:
        case nodes.And(parts):
            return functools.reduce(pc.and_kleene, map(of, parts))
        case nodes.Or(parts):
            return functools.reduce(pc.or_kleene, map(of, parts))
        case nodes.Not(part):
            return pc.invert(of(part))
        case nodes.Compare(name, sign, value):
            return _compare(column(name), sign, value, column)
        case nodes.Between(name, low, high):
            array = column(name)
            return pc.and_kleene(
                _compare(array, ">=", low, column), _compare(array, "<=", high, column)
            )
        case nodes.In(name, values):
            return is_in(column(name), values)
        case nodes.Match(name, part, text):
            return _match(column(name), part, text)
        case nodes.Has(name, value):
            return _has(column(name), value)
        case nodes.IsNull(name):
            return column(name).is_null()


def read(column: Column, batch: pa.RecordBatch, start_id: int) -> pa.Array:
    """The values of a column, or of a field inside it, without dictionary and extension.

    A field is null where what it is a field of is null.
    """
    if column.is_id:
        return pa.array(np.arange(start_id, start_id + batch.num_rows))
    array = plain(batch.column(batch.schema.get_field_index(column.path[0])))
    for name in column.path[1:]:
        array = plain(pc.struct_field(array, [array.type.get_field_index(name)]))
    return array


def plain(array: pa.Array) -> pa.Array:
    """The same values in a type that Arrow computes with."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    return array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array


def _compare(
    array: pa.Array, sign: Sign, value: Value | Column, column: Callable[[Column], pa.Array]
) -> pa.Array:
    if isinstance(value, Column):
        return compare_columns(array, sign, column(value))
    return compare(array, sign, value)


def _match(array: pa.Array, part: nodes.Part, text: str) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.bool_())
    return _MATCH[part](array, text, ignore_case=True)


def _has(array: pa.Array, value: Value) -> pa.Array:
    """Counts the hits up to each offset: a list has one where the count rises over it."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.large_list(array.type.value_type))
    hits = compare(plain(array.values), "=", value).fill_null(False)
    count = np.concatenate([[0], np.cumsum(hits.to_numpy(zero_copy_only=False))])
    offsets: Any = array.offsets.to_numpy()
    found = pa.array(count[offsets[1:]] > count[offsets[:-1]])
    return pc.if_else(array.is_valid(), found, pa.scalar(None, pa.bool_()))
