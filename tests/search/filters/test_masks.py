"""The mask of a store, and what a cache of masks remembers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.metadata.none import NoMetadata
from search_back.search.filters import Filter, FilterCache, parse, passing
from search_back.types import IdArray
from tests.search.fakes import TableStore

TABLE = pa.table({"n": range(1000), "name": ["a", "b"] * 500, "other": ["x"] * 1000})


def said(text: str) -> Filter:
    return parse(text, TABLE.schema)


@given(batch=st.integers(1, 1200), rows=st.integers(0, 1000), least=st.integers(-1, 1001))
def test_any_batches_give_the_same_mask(batch: int, rows: int, least: int) -> None:
    store = TableStore(TABLE.slice(0, rows))
    mask = passing(said(f"n >= {least} and name = 'b' and id != 7"), store, batch_rows=batch)
    expected = [i for i in range(rows) if i >= least and i % 2 and i != 7]
    assert mask.ids.tolist() == expected
    assert (mask.rows, mask.count) == (rows, len(expected))
    assert len(mask.bits) == -(-rows // 8)


def test_only_the_columns_asked_for_are_read_in_batches() -> None:
    store = TableStore(TABLE)
    passing(said("name = 'a' or n > 5 and name = 'b'"), store, batch_rows=400)
    assert store.taken == [(400, ("name", "n")), (400, ("name", "n")), (200, ("name", "n"))]


def test_ids_of_an_index_without_metadata() -> None:
    store = NoMetadata(20)
    mask = passing(parse("id between 3 and 5 or id = 19", store.schema), store, batch_rows=8)
    assert mask.ids.tolist() == [3, 4, 5, 19]


def test_a_known_mask_is_not_worked_out_again() -> None:
    cache, store = FilterCache(1 << 20), TableStore(TABLE)
    first = cache.passing(said("n>5"), store, version="1")
    assert len(store.taken) == 1
    assert cache.passing(said("n  >  5.0"), store, version="1") is first
    assert len(store.taken) == 1
    assert first.ids.tolist() == list(range(6, 1000))


def test_another_version_has_its_own_mask() -> None:
    cache = FilterCache(1 << 20)
    counts = [
        cache.passing(said("n > 5"), TableStore(TABLE.slice(0, rows)), version=rows).count
        for rows in (10, 20, 10)
    ]
    assert counts == [4, 14, 4]
    assert len(cache) == 2


def test_the_mask_that_lay_longest_goes_first() -> None:
    cache, store = FilterCache(2000), TableStore(TABLE)
    one, two, three = (said(f"n > {n}") for n in (1, 2, 3))
    for filter_ in (one, two, one, three):
        cache.passing(filter_, store, version="")
    assert cache.bytes <= 2000
    assert len(cache) == 3
    cache.passing(said("n > 4"), store, version="")
    assert len(cache) == 3
    taken = len(store.taken)
    for filter_ in (one, three):
        cache.passing(filter_, store, version="")
    assert len(store.taken) == taken
    cache.passing(two, store, version="")
    assert len(store.taken) == taken + 1


def test_a_mask_that_has_no_room_is_not_kept() -> None:
    cache, store = FilterCache(100), TableStore(TABLE)
    for _ in range(2):
        assert cache.passing(said("n > 5"), store, version="").count == 994
    assert (len(cache), cache.bytes, len(store.taken)) == (0, 0, 2)


def test_a_shared_mask_cannot_be_written() -> None:
    mask = FilterCache(1 << 20).passing(said("n > 5"), TableStore(TABLE), version="")
    with pytest.raises(ValueError, match="read-only"):
        mask.bits[0] = 255


class SlowStore(TableStore):
    """Waits until it is let go; fails while ``broken``."""

    def __init__(self, table: pa.Table, *, broken: bool = False) -> None:
        super().__init__(table)
        self.begun, self.may_go, self.broken = threading.Event(), threading.Event(), broken

    def take(self, ids: IdArray, columns: Sequence[str] | None = None) -> pa.Table:
        self.begun.set()
        assert self.may_go.wait(60)
        if self.broken:
            raise OSError("the disk is gone")
        return super().take(ids, columns)


def test_threads_that_ask_at_once_wait_for_one() -> None:
    cache, store = FilterCache(1 << 20), SlowStore(TABLE)
    filter_ = said("n > 5")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cache.passing, filter_, store, version="") for _ in range(4)]
        assert store.begun.wait(60)
        store.may_go.set()
        masks = [future.result() for future in asked]
    assert all(mask is masks[0] for mask in masks)
    assert len(store.taken) == 1


def test_a_failure_reaches_all_who_wait_and_is_not_remembered() -> None:
    cache, store = FilterCache(1 << 20), SlowStore(TABLE, broken=True)
    filter_ = said("n > 5")
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(cache.passing, filter_, store, version="") for _ in range(2)]
        assert store.begun.wait(60)
        store.may_go.set()
        for future in asked:
            with pytest.raises(OSError, match="the disk is gone"):
                future.result()
    store.broken = False
    assert cache.passing(filter_, store, version="").count == 994


def test_many_threads_and_filters_agree() -> None:
    cache, store = FilterCache(3000), TableStore(TABLE)

    def one(n: int) -> bool:
        mask = cache.passing(said(f"n > {n % 7}"), store, version="")
        return bool(np.array_equal(mask.ids, np.arange(n % 7 + 1, 1000)))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(200)))
    assert cache.bytes <= 3000
