from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from search_back.inference.items import Row
from search_back.inference.report import Failure
from search_back.inference.writers import EmbeddingFile, FailureLog, PartitionWriter


@pytest.mark.parametrize("rows", [0, 1, 12345])
def test_an_npy_knows_its_rows_though_they_came_one_by_one(tmp_path: Path, rows: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((rows, 3)).astype(np.float32)
    file = EmbeddingFile(tmp_path / "x.npy", 3)
    for part in np.array_split(vectors, 7):
        file.append(part)
    file.close()
    found = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert found.dtype == np.float16 and found.shape == (rows, 3)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(found, unit, atol=1e-3)


def test_names_are_padded_so_that_they_sort_by_number(tmp_path: Path) -> None:
    writer = PartitionWriter(
        tmp_path, dimension=2, image=True, text=False, rows_each=1, max_columns=10
    )
    with writer:
        for start in range(0, 11, 3):
            rows = [Row(str(i)) for i in range(start, min(start + 3, 11))]
            writer.append(rows, image=np.ones((len(rows), 2), np.float32), text=None)
        written = writer.finish()
    assert (written.count, written.partitions, written.columns) == (11, 11, ("image_path",))
    names = sorted(path.name for path in (tmp_path / "metadata").iterdir())
    assert names == [f"metadata_{p:02}.parquet" for p in range(11)]
    paths = [pq.read_table(tmp_path / "metadata" / n)["image_path"][0].as_py() for n in names]
    assert paths == [str(i) for i in range(11)]


def test_failures_of_unprintable_files_can_be_written(tmp_path: Path) -> None:
    log = FailureLog(tmp_path, examples=2)
    log.add([Failure("a\udcff", "read", "b\udcff")] * 3)
    log.close()
    assert (log.count, len(log.first)) == (3, 2)
    rows = pq.read_table(tmp_path / "failures.parquet").to_pylist()
    assert rows == [{"key": "a\\udcff", "stage": "read", "reason": "b\\udcff"}] * 3
