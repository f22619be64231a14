"""Any table in, the same values out, through every store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from search_back.errors import UnknownId
from search_back.metadata import open_metadata
from search_back.metadata.base import ColumnStore

from .tables import Files, files, plain

SLOW = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
STORES = ("parquet", "hdf5", "hdf5, ordered", "arrow", "arrow in batches", "hdf5 from arrow")


@contextmanager
def store_of(kind: str, given_files: Files, order: Any) -> Iterator[ColumnStore]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "index"
        if "arrow" in kind:
            given_files.write_arrow(folder, 5 if "batches" in kind else None)
        else:
            given_files.write_parquet(folder)
        with open_metadata(
            folder,
            kind=kind.split(maxsplit=1)[0].rstrip(","),  # type: ignore[arg-type]
            reorder=order if "ordered" in kind else None,
        ) as store:
            yield store


@pytest.mark.parametrize("kind", STORES)
@SLOW
@given(given_files=files(), data=st.data())
def test_any_table_comes_back(kind: str, given_files: Files, data: st.DataObject) -> None:
    rows, expected = len(given_files), given_files.rows
    for table in given_files.tables:
        note(str(table.schema))
    order = np.array(data.draw(st.permutations(range(rows))), np.int64)
    ids = data.draw(st.lists(st.integers(0, rows - 1), max_size=20)) if rows else []
    with store_of(kind, given_files, order) as store:
        assert len(store) == rows
        for asked in (list(range(rows)), ids):
            found = store.take(np.array(asked, np.int64))
            assert found.schema.equals(store.schema)
            found.validate(full=True)
            assert {name: plain(found[name]) for name in found.schema.names} == {
                name: [values[i] for i in asked] for name, values in expected.items()
            }
        with pytest.raises(UnknownId) as caught:
            store.take(np.array([*ids, -1], np.int64))
        assert caught.value.value == [-1]
