"""Generated folders of tables: any types, files that differ, and the rows that they stand for."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

UNITS = ("s", "ms", "us", "ns")
NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
ZONES = (None, "UTC", "Asia/Tokyo", "+05:30")

Draw = Callable[[st.SearchStrategy[Any]], Any]
Family = tuple[pa.DataType, ...]
"""Types that files may have for one column: they go together and nothing is lost."""

INTEGERS: Family = (pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.null())
TEXTS: Family = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.null(),
)
FLAT: tuple[Family, ...] = (
    INTEGERS,
    TEXTS,
    (pa.uint64(), pa.uint16(), pa.null()),
    (pa.float16(), pa.float32(), pa.float64(), pa.null()),
    (pa.int16(), pa.float64(), pa.float32()),
    (pa.bool_(), pa.null()),
    (pa.binary(), pa.large_binary(), pa.binary_view(), pa.null()),
    (pa.binary(5), pa.null()),
    (pa.date32(), pa.date64(), pa.null()),
    (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(tuple(pa.timestamp(unit, zone) for unit in UNITS) for zone in ZONES),
    tuple(pa.duration(unit) for unit in UNITS),
    (pa.decimal128(9, 2), pa.decimal128(20, 4), pa.decimal256(40, 3)),
    (pa.decimal32(7, 3), pa.decimal64(15, 3)),
    (pa.dictionary(pa.int16(), pa.int64()), pa.int32()),
    (pa.null(),),
)


def _words(kind: pa.DataType) -> set[str]:
    return set(re.findall("[a-z]+", str(kind)))


def _simple(kinds: Family) -> Family:
    """Those that hold no nulls further down."""
    return tuple(kind for kind in kinds if pa.types.is_null(kind) or "null" not in _words(kind))


def nested(families: st.SearchStrategy[Family]) -> st.SearchStrategy[Family]:
    """Lists, structs and maps of what a strategy gives."""
    return st.one_of(
        # Arrow reads too few items of lists of lists of nulls from Parquet.
        families.map(
            lambda kinds: (
                *map(pa.list_, _simple(kinds)),
                *map(pa.large_list, _simple(kinds)),
            )
        ).filter(bool),
        # Arrow takes too few items of a fixed-size list of nulls, and reads none of views.
        families.map(
            lambda kinds: tuple(
                pa.list_(kind, 3) for kind in kinds if not {"null", "view"} & _words(kind)
            )
        ).filter(bool),
        st.tuples(families, families).map(
            lambda pair: tuple(pa.struct([("a", a), ("é b", pair[1][0])]) for a in pair[0])
        ),
        families.map(lambda kinds: (pa.map_(pa.string(), kinds[0]),)),
        families.map(lambda kinds: (pa.map_(pa.int32(), pa.list_(kinds[0])),)),
    )


families = st.recursive(st.sampled_from(FLAT), nested, max_leaves=3)


@st.composite
def arrays(draw: Draw, kind: pa.DataType, rows: int) -> pa.Array:
    """So many values of a type, nulls among them."""
    if pa.types.is_null(kind):
        return pa.nulls(rows)
    if pa.types.is_dictionary(kind):
        plain = draw(arrays(kind.value_type, rows))
        return plain.dictionary_encode().cast(kind)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        wide = pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary()
        return draw(arrays(wide, rows)).cast(kind)
    valid = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), bool)
    mask = pa.array(~valid)
    if pa.types.is_nested(kind):
        return draw(_nested_arrays(kind, valid, mask))
    values = draw(st.lists(_values(kind), min_size=rows, max_size=rows))
    if pa.types.is_temporal(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(values, whole, mask=~valid).view(kind)
    return pa.array(values, kind, mask=~valid)


@st.composite
def _nested_arrays(draw: Draw, kind: pa.DataType, valid: Any, mask: pa.Array) -> pa.Array:
    rows = len(valid)
    if pa.types.is_struct(kind):
        children = [draw(arrays(field.type, rows)) for field in kind]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        items = draw(arrays(kind.value_type, rows * size))
        return pa.FixedSizeListArray.from_arrays(items, type=kind, mask=mask)
    lengths = np.where(
        valid, draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)), 0
    ).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if pa.types.is_map(kind):
        keys = pa.array(range(int(offsets[-1]))).cast(kind.key_type)
        items = draw(arrays(kind.item_type, int(offsets[-1])))
        return pa.MapArray.from_arrays(
            pa.array(offsets, pa.int32()), keys, items, type=kind, mask=mask
        )
    items = draw(arrays(kind.value_type, int(offsets[-1])))
    if pa.types.is_large_list(kind):
        return pa.LargeListArray.from_arrays(pa.array(offsets), items, type=kind, mask=mask)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, type=kind, mask=mask)


def _values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values that every type of the same family holds."""
    test = pa.types
    if test.is_boolean(kind):
        return st.booleans()
    if test.is_integer(kind):
        signed = test.is_signed_integer(kind)
        bits = kind.bit_width - signed
        return st.integers(-(2**bits) if signed else 0, 2**bits - 1)
    if test.is_floating(kind):
        return st.floats(width=kind.bit_width)
    if test.is_decimal(kind):
        digits = 10**kind.precision - 1
        return st.integers(-digits, digits).map(
            lambda whole: decimal.Context(prec=80).scaleb(decimal.Decimal(whole), -kind.scale)
        )
    if test.is_date64(kind):
        return st.integers(-20_000, 20_000).map(lambda day: day * 86_400_000)
    if test.is_date32(kind):
        return st.integers(-20_000, 20_000)
    if test.is_time(kind):
        return st.integers(0, 86_399).map(lambda s: s * 10**9 // NANOSECONDS[kind.unit])
    if test.is_temporal(kind):
        end = 9 * 10**18 // NANOSECONDS[kind.unit]
        return st.integers(-min(end, 9 * 10**9), min(end, 9 * 10**9)) | st.integers(-(10**9), 10**9)
    if test.is_string(kind) or test.is_large_string(kind):
        return st.sampled_from(["", "a", "кот 🐈"]) | st.text(
            st.characters(exclude_categories=["Cs"]), max_size=9
        )
    size = kind.byte_width if test.is_fixed_size_binary(kind) else None
    return st.binary(min_size=size or 0, max_size=size or 9)


def plain(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Python values that do not depend on the width or the unit of a type.

    Times are nanoseconds, fields that are null are left out of structs, NaN equals itself.
    """
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in plain(chunk)]
    kind = array.type
    valid = array.is_valid().to_pylist()
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_temporal(kind):
        whole = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        factor = NANOSECONDS[kind.unit] if hasattr(kind, "unit") else 1
        if pa.types.is_date32(kind):
            factor = 86_400_000
        return [None if value is None else value * factor for value in whole.to_pylist()]
    if pa.types.is_struct(kind):
        fields = {kind.field(i).name: plain(array.field(i)) for i in range(kind.num_fields)}
        return [
            {name: of[i] for name, of in fields.items() if of[i] is not None} if there else None
            for i, there in enumerate(valid)
        ]
    if pa.types.is_map(kind):
        return [
            None if not there else list(zip(*map(plain, _entries(array, i)), strict=True))
            for i, there in enumerate(valid)
        ]
    if pa.types.is_nested(kind):
        return [plain(array[i].values) if there else None for i, there in enumerate(valid)]
    return [
        "NaN" if isinstance(value, float) and math.isnan(value) else value
        for value in array.to_pylist()
    ]


def _entries(array: pa.MapArray, row: int) -> tuple[pa.Array, pa.Array]:
    start, end = array.offsets[row].as_py(), array.offsets[row + 1].as_py()
    return array.keys.slice(start, end - start), array.items.slice(start, end - start)


@dataclass(frozen=True)
class Files:
    """The tables of a folder, one a file; ``rows``: what all stand for, a list for each column."""

    tables: tuple[pa.Table, ...]

    @property
    def rows(self) -> dict[str, list[Any]]:
        names = dict.fromkeys(name for table in self.tables for name in table.schema.names)
        return {
            name: [
                value
                for table in self.tables
                for value in (
                    plain(table[name])
                    if name in table.schema.names
                    else [None] * int(table.num_rows)
                )
            ]
            for name in names
        }

    def __len__(self) -> int:
        return sum(int(table.num_rows) for table in self.tables)

    def write_parquet(self, folder: Path) -> Path:
        (folder / "metadata").mkdir(parents=True)
        for number, table in enumerate(self.tables):
            pq.write_table(table, folder / f"metadata/{number}.parquet", row_group_size=7)
        return folder

    def write_arrow(self, folder: Path, batch: int | None) -> Path:
        (folder / "metadata").mkdir(parents=True)
        for number, table in enumerate(self.tables):
            path = str(folder / f"metadata/{number}.arrow")
            options = pa.ipc.IpcWriteOptions(unify_dictionaries=True)
            with pa.ipc.new_file(path, table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=batch)
        return folder


@st.composite
def files(draw: Draw) -> Files:
    """One to three files; each has some of the columns, in any order, of one of their types."""
    columns: Sequence[Family] = draw(st.lists(families, min_size=1, max_size=4))
    tables = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(0, 12))
        chosen = draw(st.permutations(range(len(columns))))
        chosen = chosen[: draw(st.integers(1, len(columns)))]
        tables.append(
            pa.table(
                {
                    f"column {i}": draw(arrays(draw(st.sampled_from(columns[i])), rows))
                    for i in chosen
                }
            )
        )
    return Files(tuple(tables))
