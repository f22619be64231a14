"""Facets, checked against counting in plain Python."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import InvalidField, UnknownColumn
from search_back.metadata.none import NoMetadata
from search_back.search.filters import facet_counts
from search_back.search.filters.instants import Instant
from search_back.types import Facet, IdMask, RangeFacet, ValueFacet
from tests.search.fakes import TableStore

from .reference import POOLS, rows_of, table_of

COUNTED = [name for name in POOLS if name not in ("exif", "raw", "view")]


def facet_of(values: list[Any], type_: pa.DataType | None = None, **options: Any) -> Facet:
    table = pa.table({"column": pa.array(values, type_)})
    return facet_counts(TableStore(table), ["column"], **options)["column"]


def commonest(values: list[Any], most: int) -> tuple[tuple[tuple[Any, int], ...], int]:
    counts = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(counts[:most]), sum(count for _, count in counts[most:])


@settings(deadline=None)
@given(
    values=st.lists(st.none() | st.sampled_from("abcdeé🐈") | st.text(max_size=2)),
    most=st.integers(0, 5),
    batch=st.integers(1, 50),
)
def test_texts(values: list[str | None], most: int, batch: int) -> None:
    known = [value for value in values if value is not None]
    expected, others = commonest(known, most)
    found = facet_of(values, pa.string(), most=most, batch_rows=batch)
    assert found == ValueFacet(expected, others, len(values) - len(known))


@settings(deadline=None)
@given(values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-60, 60)))
@pytest.mark.parametrize("batch", [3, 100])
def test_integers(values: list[int | None], batch: int) -> None:
    known = [value for value in values if value is not None]
    found = facet_of(values, pa.int64(), most=5, batch_rows=batch)
    nulls = len(values) - len(known)
    if len(set(known)) <= 5:
        assert found == ValueFacet(commonest(known, 5)[0], 0, nulls)
        return
    assert isinstance(found, RangeFacet)
    edges = found.edges
    assert (found.least, found.greatest, edges[0]) == (min(known), max(known), min(known))
    assert len({b - a for a, b in pairwise(edges)}) == 1
    assert len(edges) <= 21
    assert edges[-2] <= max(known) < edges[-1]
    counts = tuple(sum(a <= v < b for v in known) for a, b in pairwise(edges))
    assert (found.counts, found.others, found.nulls) == (counts, 0, nulls)


@settings(deadline=None)
@given(values=st.lists(st.none() | st.floats() | st.floats(-5, 5)), batch=st.integers(1, 50))
def test_floats(values: list[float | None], batch: int) -> None:
    known = [value for value in values if value is not None]
    finite = [value for value in known if math.isfinite(value)]
    found = facet_of(values, pa.float64(), batch_rows=batch)
    assert isinstance(found, RangeFacet)
    assert found.nulls == len(values) - len(known)
    assert found.others == len(known) - len(finite)
    if not finite:
        assert (found.least, found.greatest, found.edges, found.counts) == (None, None, (), ())
        return
    edges = found.edges
    assert (found.least, found.greatest) == (min(finite), max(finite))
    assert (edges[0], edges[-1]) == (min(finite), max(finite))
    last = len(edges) - 2
    counts = tuple(
        sum(edges[i] <= v < edges[i + 1] or (i == last and v == edges[-1]) for v in finite)
        for i in range(last + 1)
    )
    assert found.counts == counts
    assert sum(counts) == len(finite)


def test_a_histogram_has_twenty_equal_parts() -> None:
    found = facet_of([i / 100 for i in range(1001)], pa.float32())
    assert isinstance(found, RangeFacet)
    assert np.allclose(found.edges, np.linspace(0, 10, 21))
    assert found.counts[-1] == 51
    assert facet_of(list(range(2000))) == RangeFacet(
        0, 1999, tuple(range(0, 2001, 100)), (100,) * 20, 0, 0
    )


def test_unsigned_integers_beyond_int64() -> None:
    values = [2**64 - 1 - i for i in range(40)]
    found = facet_of(values, pa.uint64())
    assert found == RangeFacet(
        2**64 - 40, 2**64 - 1, tuple(range(2**64 - 40, 2**64 + 1, 2)), (2,) * 20, 0, 0
    )


def test_truth_values_and_dictionaries() -> None:
    assert facet_of([True, False, None, False]) == ValueFacet(((False, 2), (True, 1)), 0, 1)
    words = pa.array(["b", "a", None, "b"]).dictionary_encode()
    found = facet_counts(TableStore(pa.table({"word": words})), ["word"])
    assert found == {"word": ValueFacet((("b", 2), ("a", 1)), 0, 1)}


def test_lists_count_their_elements() -> None:
    values = [["a", "b"], None, [], ["a", None, "a"]]
    for type_ in (pa.list_(pa.string()), pa.large_list(pa.large_string())):
        assert facet_of(values, type_) == ValueFacet((("a", 3), ("b", 1)), 0, 2)
    pairs = facet_of([[1, 2], None, [2, None]], pa.list_(pa.int16(), 2))
    assert pairs == ValueFacet(((2, 2), (1, 1)), 0, 2)
    many = facet_of([[float(i)] * 2 for i in range(5)])
    assert isinstance(many, RangeFacet)
    assert (many.greatest, sum(many.counts)) == (4.0, 10)


def test_fields_of_structs_by_dots_unless_a_column_is_called_so() -> None:
    inner = pa.array([{"make": "a"}, None, {"make": "b"}])
    store = TableStore(pa.table({"exif": inner}))
    assert facet_counts(store, ["exif.make"]) == {
        "exif.make": ValueFacet((("a", 1), ("b", 1)), 0, 1)
    }
    store = TableStore(pa.table({"exif": inner, "exif.make": ["x"] * 3}))
    assert facet_counts(store, ["exif.make"]) == {"exif.make": ValueFacet((("x", 3),), 0, 0)}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_are_iso_8601(unit: str, zone: str | None) -> None:
    start = dt.datetime(2024, 2, 28, 12, tzinfo=dt.timezone.utc)
    times = [start + dt.timedelta(hours=i) for i in range(40)]
    column = pa.array([t if zone else t.replace(tzinfo=None) for t in times])
    found = facet_counts(
        TableStore(pa.table({"taken": column.cast(pa.timestamp(unit, zone))})), ["taken"]
    )["taken"]
    assert isinstance(found, RangeFacet)
    z = "Z" if zone else ""
    assert (found.least, found.greatest) == (f"2024-02-28T12:00{z}", f"2024-03-01T03:00{z}")
    assert sum(found.counts) == 40
    instants = [Instant.parse(str(edge)) for edge in found.edges]
    ns = [instant.ns for instant in instants if instant is not None]
    assert len(ns) == 21
    assert len({b - a for a, b in pairwise(ns)}) == 1


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()])
def test_dates_have_days(type_: pa.DataType) -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(40)]
    found = facet_of(days, type_)
    assert isinstance(found, RangeFacet)
    assert found.edges == tuple(
        str(dt.date(2024, 1, 1) + dt.timedelta(days=2 * i)) for i in range(21)
    )
    assert found.counts == (2,) * 20


def test_the_ends_of_time() -> None:
    ends = pa.array([-(2**63) + 1, 2**63 - 1], pa.timestamp("ns"))
    found = facet_counts(TableStore(pa.table({"taken": ends})), ["taken"])["taken"]
    assert isinstance(found, RangeFacet)
    assert (found.counts[0], found.counts[-1], sum(found.counts)) == (1, 1, 2)
    assert found.edges[-1] == found.greatest == "2262-04-11T23:47:16.854775807"


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), batch=st.integers(1, 30), data=st.data())
def test_some_ids_are_as_a_table_of_those_rows(seed: int, batch: int, data: st.DataObject) -> None:
    # Arrow takes no rows of string views, so no store has them.
    table = table_of(rows_of(seed, 30)).drop_columns(["view"])
    names = [*COUNTED, "exif.Make", "exif.deep.n"]
    some = np.array(sorted(data.draw(st.sets(st.integers(0, 29)))), np.int64)
    expected = facet_counts(TableStore(table.take(pa.array(some, pa.int64()))), names, most=4)
    bits = np.zeros(30, np.bool_)
    bits[some] = True
    store = TableStore(table)
    for ids in (some, IdMask.of(bits)):
        assert facet_counts(store, names, ids, most=4, batch_rows=batch) == expected
    assert facet_counts(store, names, most=4) == facet_counts(store, names, np.arange(30), most=4)


def test_many_different_texts_are_merged() -> None:
    values = [f"{i % 90_000}" for i in range(200_000)]
    found = facet_of(values, most=2)
    assert found == ValueFacet((("0", 3), ("1", 3)), 200_000 - 6, 0)


def test_only_wide_columns_are_read_twice() -> None:
    store = TableStore(pa.table({"a": range(100), "b": ["x"] * 100, "c": ["y"] * 100}))
    facet_counts(store, ["a", "b"], batch_rows=64)
    assert store.taken == [(64, ("a", "b")), (36, ("a", "b")), (64, ("a",)), (36, ("a",))]


def test_columns_that_are_unknown_or_cannot_be_counted() -> None:
    store = TableStore(pa.table({"width": [1], "raw": [b"x"], "exif": [{"make": "a"}]}))
    with pytest.raises(UnknownColumn, match=r"got: wdith\): did you mean width\?"):
        facet_counts(store, ["wdith"])
    with pytest.raises(UnknownColumn, match=r"got: id\)"):
        facet_counts(store, ["id"])
    for name in ("raw", "exif"):
        with pytest.raises(InvalidField, match=f"column {name} is .*cannot be counted"):
            facet_counts(store, [name])
    with pytest.raises(UnknownColumn):
        facet_counts(NoMetadata(5), ["width"])
    assert facet_counts(store, []) == {}


def test_every_type_has_a_facet_or_says_that_it_has_none() -> None:
    store = TableStore(table_of(rows_of(0, 20)).drop_columns(["view"]))
    for name in COUNTED:
        found = facet_counts(store, [name])[name]
        assert isinstance(found, ValueFacet | RangeFacet)
    assert facet_counts(store, ["empty"]) == {"empty": ValueFacet((), 0, 20)}
