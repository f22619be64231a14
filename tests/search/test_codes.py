"""Numbers in place of values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from search_back.errors import InputError
from search_back.search.codes import codes

DAY = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
COLUMNS = {
    "texts": (pa.array(["b", "a", None, "b"]), [0, 1, -1, 0]),
    "views of texts": (pa.array(["b", "a", "b"], pa.string_view()), [0, 1, 0]),
    "bytes": (pa.array([b"b", None, b"b"]), [0, -1, 0]),
    "integers": (pa.array([7, None, 3, 7]), [0, -1, 1, 0]),
    "floats": (pa.array([0.5, float("nan"), None, -0.0, 0.0, float("nan")]), [0, -1, -1, 1, 1, -1]),
    "short floats": (pa.array([0.5, None, 0.5], pa.float16()), [0, -1, 0]),
    "decimals": (pa.array([Decimal("1.5"), Decimal("1.50")]), [0, 0]),
    "booleans": (pa.array([True, None, False, True]), [0, -1, 1, 0]),
    "times": (pa.array([DAY, None, DAY, DAY + dt.timedelta(1)]), [0, -1, 0, 1]),
    "days": (pa.array([DAY.date(), DAY.date()]), [0, 0]),
    "nothing": (pa.nulls(2), [-1, -1]),
    "none": (pa.array([], pa.string()), []),
    "chunks": (pa.chunked_array([["b", "a"], [], ["a", None]]), [0, 1, 1, -1]),
    "no chunks": (pa.chunked_array([], pa.int32()), []),
    "a dictionary with a value twice and a null": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 0, None]), pa.array(["b", None, "b"])),
        [0, -1, 0, 0, -1],
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_equal_values_have_equal_numbers(name: str) -> None:
    column, expected = COLUMNS[name]
    assert codes(column).tolist() == expected
    assert codes(column).dtype == "int64"


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([{"a": 1}])])
def test_values_of_several_parts_are_refused(column: pa.Array) -> None:
    with pytest.raises(InputError) as raised:
        codes(column)
    assert raised.value.value == str(column.type)
