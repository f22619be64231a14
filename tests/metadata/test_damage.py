"""Flipped bits and swapped files: refused, built again or harmless; never a crash."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest

from search_back.errors import CorruptFile
from search_back.metadata import open_metadata
from search_back.metadata.caches import MAPPING
from search_back.metadata.hdf5 import Hdf5Store
from search_back.metadata.parquet import ParquetStore

from . import flip_bits
from .conftest import (
    ROWS,
    legacy_columns,
    reference_table,
    write_arrow,
    write_legacy,
    write_parquet,
)

ROUNDS = 150
ORDER = np.random.default_rng(0).permutation(ROWS)
NESTED = {
    "map": pa.array(
        [[(f"k{i % 3}", [i] * (i % 3))] for i in range(ROWS)],
        pa.map_(pa.string(), pa.list_(pa.int64())),
    ),
    "struct": pa.array([{"a": str(i), "b": [str(i)] * (i % 4)} for i in range(ROWS)]),
    "flag": pa.array(["UNLIKELY", "UNSURE", None] * (ROWS // 3) + ["NSFW"] * (ROWS % 3)),
    "code": pa.array([str(i % 5) for i in range(ROWS)]).dictionary_encode(),
}


def table() -> pa.Table:
    made = reference_table()
    for name, array in NESTED.items():
        made = made.append_column(name, array)
    return made


def make(folder: Path, kind: str) -> Path:
    """An index folder; the file in it that is to suffer."""
    if kind.startswith("arrow"):
        write_arrow(folder, table(), 60)
        return folder / "metadata/0_en.arrow"
    if kind.startswith("legacy"):
        folder.mkdir()
        columns = legacy_columns(reference_table(), np.arange(ROWS))
        return write_legacy(folder / "metadata.hdf5", columns)
    write_parquet(folder, table(), 1)
    if kind == "parquet":
        return folder / "metadata/metadata_0.parquet"
    open_metadata(folder, kind="hdf5", reorder=ORDER if "ordered" in kind else None).close()
    if "ordered" in kind:
        open_metadata(folder, kind="hdf5").close()
        return folder / "metadata_reordered.hdf5"
    return folder / "metadata.hdf5"


@pytest.mark.parametrize("kind", ["hdf5", "hdf5 ordered", "arrow", "parquet", "legacy"])
def test_flipped_bits_are_refused_or_harmless(tmp_path: Path, kind: str) -> None:
    victim = make(tmp_path / "index", kind)
    program = [sys.executable, "-m", flip_bits.__name__]
    given = {"legacy": "hdf5"}.get(kind, kind.split(maxsplit=1)[0])
    done = subprocess.run(
        [
            *program, str(tmp_path / "index"), given, str(victim), str(ROUNDS), "1",
            "ordered" if "ordered" in kind else "plain",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"the process died: {done.returncode}\n{done.stderr[-2000:]}"
    counts = json.loads(done.stdout)
    assert counts.pop("problems") == []
    assert sum(counts.values()) == ROUNDS and counts["refused"] > 0
    if kind.startswith("hdf5"):
        assert "other" not in counts, "our files have checksums: no other rows go unseen"


def test_a_map_with_flipped_bits_is_refused_when_verified(tmp_path: Path) -> None:
    write_legacy(tmp_path / "metadata_reordered.hdf5", legacy_columns(reference_table(), ORDER))
    places = np.argsort(ORDER)
    rng = np.random.default_rng(2)
    for _ in range(60):
        flipped = bytearray(places.tobytes())
        flipped[int(rng.integers(len(flipped)))] ^= 1 << int(rng.integers(8))
        (tmp_path / MAPPING).write_bytes(flipped)
        with (
            open_metadata(tmp_path, kind="hdf5", reorder=ORDER) as store,
            pytest.raises(CorruptFile, match=MAPPING),
        ):
            store.verify()


def test_codes_that_point_nowhere_are_an_error_not_a_crash(tmp_path: Path) -> None:
    file = make(tmp_path / "index", "hdf5")
    with h5py.File(file) as opened:
        codes = opened["columns/flag/codes"]
        assert codes.dtype == np.uint8 and len(opened["columns/flag/words/offsets"]) == 5
        start = codes.id.get_offset()
    data = bytearray(file.read_bytes())
    data[start + 7] = 200
    file.write_bytes(data)
    with Hdf5Store(file) as store:
        assert store.take(np.array([6]), ["flag"])["flag"].to_pylist() == ["UNLIKELY"]
        with pytest.raises(CorruptFile, match=r"metadata\.hdf5 .*'flag'"):
            store.take(np.array([7]), ["flag"])


@pytest.mark.parametrize("column", ["tags", "map", "struct"])
def test_offsets_inside_nested_values_are_checked(tmp_path: Path, column: str) -> None:
    file = make(tmp_path / "index", "hdf5")
    inner = {"tags": "item", "map": "item/field.1", "struct": "field.1/item"}[column]
    with h5py.File(file) as opened:
        start = opened[f"columns/{column}/{inner}/offsets"].id.get_offset()
    data = bytearray(file.read_bytes())
    data[start + 8 * 3 + 5] ^= 1
    file.write_bytes(data)
    with Hdf5Store(file) as store, pytest.raises(CorruptFile, match=f"'{column}'"):
        store.take(np.array([200]), [column])


@pytest.mark.parametrize("kind", ["hdf5", "arrow", "arrow in batches"])
def test_broken_offsets_of_arrow_files(tmp_path: Path, kind: str) -> None:
    file = make(tmp_path / "index", kind)
    data = bytearray(file.read_bytes())
    width = 8
    offsets = np.array([len(f"https://example.org/{i}.jpg") for i in range(40)]).cumsum()
    start = data.index(offsets.astype(f"<i{width}").tobytes())
    data[start + width * 20 + 3] ^= 1
    file.write_bytes(data)
    with (
        open_metadata(tmp_path / "index", kind=kind.split(maxsplit=1)[0]) as store,  # type: ignore[arg-type]
        pytest.raises(CorruptFile, match=rf"{file.name}.*'url'"),
    ):
        store.take(np.arange(len(store)), ["url"])


# Files that were swapped


def two_files(folder: Path, name: str) -> Path:
    return write_parquet(folder, pa.table({"url": [f"{name}{i}" for i in range(20)]}), 2)


def first(folder: Path, **options: Any) -> tuple[type[Any], str]:
    with open_metadata(folder, **options) as store:
        value: str = store.take(np.array([0]))["url"][0].as_py()
        return type(store), value


def test_files_renamed_among_one_another_are_built_from_again(tmp_path: Path) -> None:
    folder = two_files(tmp_path, "u") / "metadata"
    assert first(tmp_path, kind="hdf5") == (Hdf5Store, "u0")
    names = [folder / "metadata_0.parquet", folder / "metadata_1.parquet"]
    names[0].rename(folder / "other")
    names[1].rename(names[0])
    (folder / "other").rename(names[1])
    assert first(tmp_path) == (ParquetStore, "u10")
    assert first(tmp_path, kind="hdf5") == (Hdf5Store, "u10")


def test_the_file_of_another_index_is_not_used(tmp_path: Path) -> None:
    mine, other = two_files(tmp_path / "mine", "u"), two_files(tmp_path / "other", "v")
    open_metadata(other, kind="hdf5").close()
    shutil.copy2(other / "metadata.hdf5", mine / "metadata.hdf5")
    assert first(mine) == (ParquetStore, "u0")
    assert first(mine, kind="hdf5") == (Hdf5Store, "u0")


def test_plain_and_reordered_files_under_each_others_names(tmp_path: Path) -> None:
    order = np.arange(20)[::-1].copy()
    folder = two_files(tmp_path, "u")
    open_metadata(folder, kind="hdf5").close()
    open_metadata(folder, kind="hdf5", reorder=order).close()
    (folder / "metadata.hdf5").rename(folder / "kept")
    (folder / "metadata_reordered.hdf5").rename(folder / "metadata.hdf5")
    (folder / "kept").rename(folder / "metadata_reordered.hdf5")
    assert first(folder, kind="hdf5")[1] == "u0"
    assert first(folder, kind="hdf5", reorder=order)[1] == "u0"


def test_a_reordered_file_of_other_rows_is_refused(tmp_path: Path) -> None:
    file = make(tmp_path / "index", "hdf5 ordered")
    with h5py.File(file, "r+") as opened:
        del opened["old_to_new"]
        opened["old_to_new"] = np.arange(ROWS - 1)
    with pytest.raises(CorruptFile, match=r"metadata_reordered\.hdf5"):
        Hdf5Store(file)
