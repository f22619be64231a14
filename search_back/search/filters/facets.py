"""What values the columns of some rows have, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from search_back.errors import InvalidField, UnknownColumn
from search_back.interfaces import MetadataStore
from search_back.search.filters.evaluate import plain, read
from search_back.search.filters.kinds import Kind, find, kind_of, plain_type, remedy_for
from search_back.search.filters.masks import BATCH_ROWS
from search_back.search.filters.nodes import Column
from search_back.search.filters.tally import Scale, Spread, Tally
from search_back.types import Facet, IdArray, IdMask, RangeFacet, ValueFacet


def facet_counts(
    store: MetadataStore,
    columns: Sequence[str],
    ids: IdArray | IdMask | None = None,
    *,
    most: int = 20,
    batch_rows: int = BATCH_ROWS,
) -> dict[str, Facet]:
    """The facets of columns over the rows of ids; None: of all rows.

    Text, truth values and integers of at most ``most`` different values have a ``ValueFacet`` of
    the ``most`` commonest; other numbers and times a ``RangeFacet``, for which the rows are read
    twice. A list counts as its elements. A field of a struct is named with dots. Memory grows
    with the number of different texts. Raises ``UnknownColumn``; ``InvalidField`` for a column
    that has neither.
    """
    parts = {name: _Part(*_look_up(name, store.schema), most) for name in columns}
    names = list(dict.fromkeys(part.column.path[0] for part in parts.values()))
    for table in _tables(store, names, ids, batch_rows):
        for part in parts.values():
            part.count(table)
    spread = [part for part in parts.values() if part.spreads]
    names = list(dict.fromkeys(part.column.path[0] for part in spread))
    for table in _tables(store, names, ids, batch_rows) if spread else ():
        for part in spread:
            part.place(table)
    return {name: part.facet() for name, part in parts.items()}


class _Part:
    """The facet of one column while it is counted."""

    def __init__(self, column: Column, type_: pa.DataType, most: int) -> None:
        self.column = column
        self._most = most
        self._nulls = 0
        kind = kind_of(type_)
        self._spread = Spread(Scale(type_)) if kind in ("number", "time") else None
        counted = kind not in ("number", "time") or pa.types.is_integer(type_)
        self._tally: Tally | None = Tally(type_) if counted else None

    @property
    def spreads(self) -> bool:
        """Whether a second reading is needed, to place the values in their span."""
        return self._tally is None

    def count(self, table: pa.Table) -> None:
        for array in self._arrays(table):
            self._nulls += array.null_count
            values = _elements(array)
            if values is not array:
                self._nulls += values.null_count
            values = values.drop_null()
            if self._spread is not None:
                self._spread.widen(values)
            if self._tally is not None:
                self._tally.add(values)
                if self._spread is not None and len(self._tally) > self._most:
                    self._tally = None

    def place(self, table: pa.Table) -> None:
        assert self._spread is not None
        for array in self._arrays(table):
            self._spread.place(_elements(array).drop_null())

    def facet(self) -> Facet:
        if self._tally is not None:
            values, others = self._tally.top(self._most)
            return ValueFacet(values, others, self._nulls)
        assert self._spread is not None
        spread = self._spread
        return RangeFacet(*spread.ends, spread.edges, spread.counts, spread.others, self._nulls)

    def _arrays(self, table: pa.Table) -> Iterator[pa.Array]:
        for batch in table.to_batches():
            yield read(self.column, batch, 0)


def _elements(array: pa.Array) -> pa.Array:
    return plain(array.flatten()) if kind_of(array.type) == "list" else array


def _look_up(name: str, schema: pa.Schema) -> tuple[Column, pa.DataType]:
    """A column, and the type of its values or elements."""
    found = find([name], schema) or find(name.split("."), schema)
    if found is None or found[0].is_id:
        raise UnknownColumn(
            "there is no such metadata column", value=name, remedy=remedy_for(name, schema)
        )
    column, type_ = found
    kept: Kind = kind_of(type_)
    element = plain_type(type_.value_type) if kept == "list" else type_
    if kind_of(element) in ("list", "other"):
        raise InvalidField(
            "columns",
            f"column {name} is {type_}, whose values cannot be counted",
            value=name,
            remedy="name a column of text, numbers, times or truth values",
        )
    return column, element


def _tables(
    store: MetadataStore, columns: list[str], ids: IdArray | IdMask | None, rows: int
) -> Iterator[pa.Table]:
    """The rows of ids, some at a time."""
    if isinstance(ids, np.ndarray):
        for start in range(0, len(ids), rows):
            yield store.take(ids[start : start + rows], columns)
        return
    step = -(-rows // 8) * 8
    total = len(store) if ids is None else min(ids.rows, len(store))
    for start in range(0, total, step):
        some = np.arange(start, min(start + step, total), dtype=np.int64)
        if ids is not None:
            bits = ids.bits[start // 8 : (start + step) // 8]
            some = some[np.unpackbits(bits, count=len(some), bitorder="little").view(np.bool_)]
        if len(some):
            yield store.take(some, columns)
