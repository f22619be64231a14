"""A reference table, and the folders an older server would have left of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 230
TEXT_COLUMNS = ["url", "caption"]


def reference_table(rows: int = ROWS) -> pa.Table:
    """Every type that matters, with nulls, empty values and characters outside ASCII."""
    numbers = range(rows)
    start = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone.utc)
    return pa.table(
        {
            "url": pa.array([f"https://example.org/{i}.jpg" for i in numbers], pa.large_string()),
            "caption": pa.array(
                ["" if i % 7 == 0 else f"картинка 🐈 {i} " * (i % 3) for i in numbers],
                pa.large_string(),
            ),
            "note": pa.array(
                [None if i % 5 == 0 else "é" * (i % 4) for i in numbers], pa.large_string()
            ),
            "width": pa.array([None if i % 3 == 0 else i - 100 for i in numbers], pa.int64()),
            "height": pa.array([i % 100 for i in numbers], pa.int16()),
            "score": pa.array(
                [None if i % 11 == 0 else float("nan") if i % 4 == 0 else i / 3 for i in numbers],
                pa.float64(),
            ),
            "nsfw": pa.array([None if i % 13 == 0 else i % 2 == 0 for i in numbers], pa.bool_()),
            "square": pa.array([i % 3 == 0 for i in numbers], pa.bool_()),
            "taken": pa.array(
                [None if i % 9 == 0 else start + dt.timedelta(hours=i) for i in numbers],
                pa.timestamp("us", "UTC"),
            ),
            "day": pa.array([dt.date(2020, 1, 1 + i % 28) for i in numbers], pa.date32()),
            "tags": pa.array(
                [
                    None if i % 10 == 0 else ["🐕", None, f"tag {i}"][: i % 4] if i % 2 else []
                    for i in numbers
                ],
                pa.large_list(pa.large_string()),
            ),
            "raw": pa.array([bytes([i % 256] * (i % 5)) for i in numbers], pa.large_binary()),
            "empty": pa.nulls(rows),
        }
    )


@pytest.fixture(scope="session")
def reference() -> pa.Table:
    return reference_table()


@pytest.fixture(scope="session")
def order() -> np.ndarray:
    """What a vector index gives: the id of the row at each place."""
    return np.random.default_rng(0).permutation(ROWS)


def write_parquet(folder: Path, table: pa.Table, files: int = 3) -> Path:
    """``metadata/`` of an index folder, as some files whose row groups are small."""
    metadata = folder / "metadata"
    metadata.mkdir(parents=True)
    cuts = np.linspace(0, table.num_rows, files + 1).astype(int)
    for number in range(files):
        part = table.slice(cuts[number], cuts[number + 1] - cuts[number])
        pq.write_table(part, metadata / f"metadata_{number}.parquet", row_group_size=50)
    return folder


def write_arrow(folder: Path, table: pa.Table, batch: int | None, files: int = 1) -> Path:
    metadata = folder / "metadata"
    metadata.mkdir(parents=True)
    cuts = np.linspace(0, table.num_rows, files + 1).astype(int)
    for number in range(files):
        part = table.slice(cuts[number], cuts[number + 1] - cuts[number])
        with pa.ipc.new_file(str(metadata / f"{number}_en.arrow"), part.schema) as writer:
            writer.write_table(part, max_chunksize=batch)
    return folder


def write_legacy(path: Path, columns: dict[str, np.ndarray[Any, Any]], step: int = 100) -> Path:
    """As clip-retrieval 2.45 wrote it: resizable, gzip, texts as objects, part after part."""
    import h5py

    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        for name, values in columns.items():
            group.create_dataset(name, data=values[:step], maxshape=(None,), compression="gzip")
            for start in range(step, len(values), step):
                part = values[start : start + step]
                group[name].resize((start + len(part),))
                group[name][start:] = part
    return path


def legacy_columns(table: pa.Table, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The text columns and one of numbers; older servers write nulls as "" and 0."""
    taken = table.take(pa.array(rows))
    columns: dict[str, Any] = {
        name: np.array(taken[name].to_pylist(), object) for name in TEXT_COLUMNS
    }
    return {**columns, "height": taken["height"].to_numpy()}
