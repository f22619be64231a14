"""What Parquet files may hold that Arrow does not read at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import CorruptFile
from search_back.metadata import parquet
from search_back.metadata.parquet import ParquetStore


def test_dictionaries_within_objects_may_differ_between_row_groups(tmp_path: Path) -> None:
    kind = pa.struct([("a", pa.dictionary(pa.int8(), pa.string()))])
    values = [{"a": "x"}, {"a": "y"}, None, {"a": None}]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(values, kind)}), path, row_group_size=2)
    with pytest.raises(pa.ArrowNotImplementedError):
        pq.ParquetFile(path).read()
    with ParquetStore(tmp_path) as store:
        assert store.take(np.arange(4))["x"].to_pylist() == values
    batches = list(parquet.ParquetSource([path]).batches())
    assert [row for batch in batches for row in batch["x"].to_pylist()] == values


TABLE = pa.table({"url": ["u0", "u1", "u2"], "n": [0, 1, 2], "flag": ["a", None, "b"]})


def test_a_column_that_is_not_needed_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    store = ParquetStore(tmp_path, needed=["url", "absent"])
    assert store.schema.names == ["url", "n", "flag"]
    assert list(store._columns) == ["url"]
    assert store.take(np.array([2]), ["n", "url"]).to_pydict() == {"n": [2], "url": ["u2"]}
    assert list(store._columns) == ["url", "n"]
    assert store.take(np.arange(3)).to_pydict() == TABLE.to_pydict()


def test_threads_read_a_column_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    store = ParquetStore(tmp_path, needed=[])
    opened: list[list[str]] = []
    real = parquet.ParquetSource

    def counted(files: Sequence[Path], names: list[str]) -> parquet.ParquetSource:
        opened.append(names)
        return real(files, names)

    monkeypatch.setattr(parquet, "ParquetSource", counted)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda i: store.take(np.array([i]), ["n"]), [0, 1] * 8))
    assert [table["n"][0].as_py() for table in taken] == [0, 1] * 8
    assert opened == [["n"]]


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_column_of_another_file_is_not_taken_for_it(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path)
    store = ParquetStore(tmp_path, needed=["url"])
    path.unlink()
    if change == "replaced":
        pq.write_table(TABLE.slice(0, 2), path)
    assert store.take(np.array([2]), ["url"])["url"].to_pylist() == ["u2"]
    with pytest.raises(CorruptFile, match=r"a\.parquet was changed .*reload the index"):
        store.take(np.array([0]), ["n"])
