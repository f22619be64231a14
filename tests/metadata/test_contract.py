"""One suite over every metadata store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import InvalidField, UnknownColumn, UnknownId
from search_back.interfaces import MetadataStore
from search_back.metadata import NoMetadata, open_metadata
from search_back.metadata.arrow import ArrowStore
from search_back.metadata.base import ColumnStore
from search_back.metadata.caches import MAPPING
from search_back.metadata.hdf5 import Hdf5Store
from search_back.metadata.ivf_order import OrderedStore
from search_back.metadata.legacy import LegacyStore
from search_back.metadata.parquet import ParquetStore

from .conftest import ROWS, legacy_columns, write_arrow, write_legacy, write_parquet

KINDS: dict[str, type[ColumnStore]] = {
    "parquet": ParquetStore,
    "arrow": ArrowStore,
    "arrow in many batches": ArrowStore,
    "hdf5": Hdf5Store,
    "hdf5, ordered": OrderedStore,
    "legacy": LegacyStore,
    "legacy, ordered": OrderedStore,
}


def make(kind: str, folder: Path, table: pa.Table, order: np.ndarray[Any, Any]) -> MetadataStore:
    if kind.startswith("arrow"):
        many = kind != "arrow"
        write_arrow(folder, table, 7 if many else None, files=2 if many else 1)
        return open_metadata(folder, kind="arrow")
    if kind == "legacy":
        folder.mkdir()
        write_legacy(folder / "metadata.hdf5", legacy_columns(table, np.arange(ROWS)))
        return open_metadata(folder, kind="hdf5")
    if kind == "legacy, ordered":
        folder.mkdir()
        write_legacy(folder / "metadata_reordered.hdf5", legacy_columns(table, order))
        np.argsort(order).tofile(folder / MAPPING)
        return open_metadata(folder, kind="hdf5", reorder=lambda: pytest.fail("not needed"))
    write_parquet(folder, table)
    if kind == "parquet":
        return open_metadata(folder, kind="parquet")
    return open_metadata(folder, kind="hdf5", reorder=order if kind == "hdf5, ordered" else None)


@pytest.fixture(scope="module", params=KINDS)
def store(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    reference: pa.Table,
    order: np.ndarray[Any, Any],
) -> Iterator[MetadataStore]:
    folder = tmp_path_factory.mktemp("index") / "folder"
    opened = make(request.param, folder, reference, order)
    assert isinstance(opened, KINDS[request.param])
    yield opened
    opened.close()


def same(found: pa.Table, expected: pa.Table) -> bool:
    """Equal as Python values, NaN equal to NaN."""

    def plain(table: pa.Table) -> list[dict[str, Any]]:
        return [
            {k: "NaN" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
            for row in table.to_pylist()
        ]

    return found.schema.names == expected.schema.names and plain(found) == plain(expected)


def rows_of(table: pa.Table, ids: Any, names: list[str]) -> pa.Table:
    return table.select(names).take(pa.array(ids, pa.int64()))


def test_all_rows(store: MetadataStore, reference: pa.Table) -> None:
    assert len(store) == ROWS
    found = store.take(np.arange(ROWS))
    assert found.schema.equals(store.schema)
    found.validate(full=True)
    if not isinstance(getattr(store, "inner", store), LegacyStore):
        assert store.schema.equals(reference.schema)
    assert same(found, reference.select(store.schema.names))


@settings(max_examples=40)
@given(ids=st.lists(st.integers(0, ROWS - 1), max_size=60))
def test_any_ids_in_the_order_asked_for(
    store: MetadataStore, reference: pa.Table, ids: list[int]
) -> None:
    found = store.take(np.array(ids, np.int64))
    assert same(found, rows_of(reference, ids, store.schema.names))


def test_columns_in_the_order_asked_for(store: MetadataStore, reference: pa.Table) -> None:
    found = store.take(np.array([9, 3, 9]), ["height", "url"])
    assert same(found, rows_of(reference, [9, 3, 9], ["height", "url"]))


def test_no_ids(store: MetadataStore) -> None:
    found = store.take(np.array([], np.int64))
    assert found.num_rows == 0
    assert found.schema.equals(store.schema)


def test_no_columns_keeps_the_number_of_rows(store: MetadataStore) -> None:
    assert store.take(np.array([1, 1]), []).num_rows == 2


@pytest.mark.parametrize("bad", [-1, ROWS, 2**40])
def test_an_id_out_of_range_is_named(store: MetadataStore, bad: int) -> None:
    with pytest.raises(UnknownId) as caught:
        store.take(np.array([0, bad, 1]))
    assert caught.value.value == [bad]
    assert f"0 … {ROWS - 1}" in str(caught.value)


def test_no_metadata_knows_its_ids() -> None:
    none = NoMetadata(3)
    assert none.take(np.array([0, 2])).num_rows == 0
    for bad in (-1, 3):
        with pytest.raises(UnknownId):
            none.take(np.array([bad]))


def test_an_unknown_column_is_named_with_the_nearest(store: MetadataStore) -> None:
    with pytest.raises(UnknownColumn, match=r"captoin.*did you mean 'caption'"):
        store.take(np.array([0]), ["captoin"])


def test_ids_that_are_no_integers_are_refused(store: MetadataStore) -> None:
    with pytest.raises(InvalidField, match="float64"):
        store.take(np.array([0.5]))


def test_threads_do_not_disturb_one_another(store: MetadataStore, reference: pa.Table) -> None:
    def one(seed: int) -> bool:
        ids = np.random.default_rng(seed).integers(0, ROWS, 40)
        return same(store.take(ids, ["caption"]), rows_of(reference, ids, ["caption"]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(40)))


def test_taken_rows_outlive_the_store(
    tmp_path: Path, reference: pa.Table, order: np.ndarray[Any, Any]
) -> None:
    for kind in KINDS:
        opened = make(kind, tmp_path / kind, reference, order)
        taken = opened.take(np.array([5, 2]), ["url"])
        opened.close()
        assert taken.to_pylist() == rows_of(reference, [5, 2], ["url"]).to_pylist()
        with pytest.raises(ValueError, match="closed"):
            opened.take(np.array([0]))
