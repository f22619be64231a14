"""Counting values, batch after batch: how often each comes, or how many lie where."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.types import Edge

BINS: Final = 20
_INT64: Final = (1 << 63) - 1
_UINT64: Final = (1 << 64) - 1
_MS_OF_DAY: Final = 86_400_000
_MERGED_FROM: Final = 1 << 16


class Tally:
    """How often each value comes. Memory grows with the number of different values."""

    def __init__(self, type_: pa.DataType) -> None:
        self._known = _table(pa.array([], type_), pa.array([], pa.int64()))
        self._new: list[pa.Table] = []
        self._new_rows = 0

    def __len__(self) -> int:
        """How many different values there are."""
        self._merge()
        return int(self._known.num_rows)

    def add(self, values: pa.Array) -> None:
        """Values without nulls."""
        found = values.value_counts()
        self._new.append(_table(found.field("values"), found.field("counts")))
        self._new_rows += len(found)
        # Merging costs as much as what is known: once for every doubling.
        if self._new_rows > max(_MERGED_FROM, self._known.num_rows):
            self._merge()

    def top(self, most: int) -> tuple[tuple[tuple[Any, int], ...], int]:
        """The commonest values, falling, ties in the order of values; how often others come."""
        self._merge()
        order = [("count_sum", "descending"), ("value", "ascending")]
        first = self._known.sort_by(order).slice(0, most).combine_chunks()
        counts = first["count_sum"].to_pylist()
        total = int(np.sum(self._known["count_sum"].to_numpy(), dtype=np.int64))
        return tuple(zip(first["value"].to_pylist(), counts, strict=True)), total - sum(counts)

    def _merge(self) -> None:
        if not self._new:
            return
        table = pa.concat_tables([self._known, *self._new])
        grouped = table.group_by("value", use_threads=False).aggregate([("count_sum", "sum")])
        self._known = _table(grouped["value"], grouped["count_sum_sum"])
        self._new, self._new_rows = [], 0


class Scale:
    """The values of a type of numbers or times as plain numbers, and such a number in words."""

    def __init__(self, type_: pa.DataType) -> None:
        types = pa.types
        self._type = type_
        self.whole = types.is_integer(type_) or types.is_temporal(type_)
        self._unit = ""
        if types.is_temporal(type_):
            self._unit = type_.unit if types.is_timestamp(type_) else "D"

    def numbers(self, values: pa.Array) -> NDArray[Any]:
        """Values without nulls as int64 or uint64 if whole, else float64."""
        types, array = pa.types, values
        if types.is_date32(self._type):
            array = values.view(pa.int32()).cast(pa.int64())
        elif types.is_temporal(self._type):
            array = values.view(pa.int64())
        elif not self.whole:
            array = values.cast(pa.float64())
        elif not types.is_uint64(self._type):
            array = values.cast(pa.int64())
        numbers: NDArray[Any] = array.to_numpy(zero_copy_only=False)
        return numbers // _MS_OF_DAY if types.is_date64(self._type) else numbers

    def edge(self, number: Any) -> Edge:
        """A number as the value it stands for; a time as ISO 8601."""
        if not self._unit:
            return int(number) if self.whole else float(number)
        moment = np.array(min(int(number), _INT64), np.int64).view(f"M8[{self._unit}]")
        text = str(np.datetime_as_string(moment, unit="auto"))
        zoned = pa.types.is_timestamp(self._type) and self._type.tz is not None
        return f"{text}Z" if zoned and "T" in text else text


class Spread:
    """The span of values at the first reading, where in it they lie at the second."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._ends: tuple[Any, Any] | None = None
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._edges: list[Any] = []
        self.others = 0

    def widen(self, values: pa.Array) -> None:
        numbers = self._scale.numbers(values)
        if not self._scale.whole:
            finite = numbers[np.isfinite(numbers)]
            self.others += len(numbers) - len(finite)
            numbers = finite
        if len(numbers):
            ends = (numbers.min().item(), numbers.max().item())
            least, greatest = self._ends or ends
            self._ends = min(least, ends[0]), max(greatest, ends[1])

    def place(self, values: pa.Array) -> None:
        """Of the same values as before, in any batches."""
        numbers = self._scale.numbers(values)
        if self._ends is None:
            return
        if not self._edges:
            self._edges = _equal_parts(*self._ends, whole=self._scale.whole)
            self._counts = np.zeros(len(self._edges) - 1, np.int64)
        if self._scale.whole:
            # Modulo 2**64, where a difference of two 64-bit numbers always has room.
            least, width = self._edges[0], self._edges[1] - self._edges[0]
            above = numbers.astype(np.uint64) - np.uint64(least & _UINT64)
            places = (above // np.uint64(width)).astype(np.int64)
        else:
            numbers = numbers[np.isfinite(numbers)]
            places = np.searchsorted(self._edges, numbers, side="right") - 1
        last = len(self._counts) - 1
        self._counts += np.bincount(np.minimum(places, last), minlength=last + 1)

    @property
    def ends(self) -> tuple[Edge | None, Edge | None]:
        if self._ends is None:
            return None, None
        return self._scale.edge(self._ends[0]), self._scale.edge(self._ends[1])

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(map(self._scale.edge, self._edges))

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(self._counts.tolist())


def _equal_parts(least: Any, greatest: Any, *, whole: bool) -> list[Any]:
    """The edges of at most ``BINS`` parts; of whole numbers, each has as many of them."""
    if whole:
        width = -(-(greatest - least + 1) // BINS)
        parts = -(-(greatest - least + 1) // width)
        return [least + i * width for i in range(parts + 1)]
    share = np.linspace(0, 1, BINS + 1)
    # Not least + share * (greatest - least): the difference may be infinite.
    edges = np.unique(least * (1 - share) + greatest * share).tolist()
    return [least, *(edge for edge in edges if least < edge < greatest), greatest]


def _table(values: Any, counts: Any) -> pa.Table:
    return pa.table({"value": values, "count_sum": counts})
