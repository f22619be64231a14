"""Which HDF5 file of an index folder is used, what makes it stale, what a build leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from search_back.errors import BadFolder, ConfigError, CorruptFile
from search_back.metadata import open_metadata
from search_back.metadata.caches import MAPPING
from search_back.metadata.hdf5 import Hdf5Store
from search_back.metadata.ivf_order import OrderedStore, read_mapping
from search_back.metadata.legacy import LegacyStore
from search_back.metadata.parquet import ParquetStore

from .conftest import ROWS, legacy_columns, write_arrow, write_legacy, write_parquet

TABLE = pa.table({"url": [f"u{i}" for i in range(20)], "n": list(range(20))})


def urls(store: Any, ids: list[int]) -> list[str]:
    with store:
        found: list[str] = store.take(np.array(ids), ["url"])["url"].to_pylist()
        return found


def refuse(done: int, total: int) -> None:
    raise AssertionError("should not have been built")


def test_built_once_then_used(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    seen: list[tuple[int, int]] = []
    store = open_metadata(tmp_path, kind="hdf5", progress=lambda *args: seen.append(args))
    assert isinstance(store, Hdf5Store) and store.path == tmp_path / "metadata.hdf5"
    assert seen[-1] == (20, 20) and seen == sorted(seen)
    assert urls(open_metadata(tmp_path, kind="hdf5", progress=refuse), [7, 3]) == ["u7", "u3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metadata", "metadata.hdf5"]


def test_auto_builds_nothing_but_uses_what_is_there(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    assert isinstance(open_metadata(tmp_path), ParquetStore)
    open_metadata(tmp_path, kind="hdf5").close()
    assert isinstance(open_metadata(tmp_path, progress=refuse), Hdf5Store)


def test_a_stale_file_is_built_again(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    open_metadata(tmp_path, kind="hdf5").close()
    write_parquet(tmp_path / "new", TABLE.set_column(0, "url", pa.array(["v"] * 20)))
    (tmp_path / "new/metadata/metadata_1.parquet").replace(tmp_path / "metadata/metadata_1.parquet")
    assert isinstance(open_metadata(tmp_path), ParquetStore)
    assert urls(open_metadata(tmp_path, kind="hdf5"), [0, 10]) == ["u0", "v"]


def test_removed_sources_leave_a_file_that_works(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    open_metadata(tmp_path, kind="hdf5", columns=["url"]).close()
    for path in (tmp_path / "metadata").iterdir():
        path.unlink()
    (tmp_path / "metadata").rmdir()
    assert urls(open_metadata(tmp_path), [3]) == ["u3"]
    assert urls(open_metadata(tmp_path, kind="hdf5", columns=["url", "x"]), [3]) == ["u3"]


def test_a_column_asked_for_later_is_added(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    open_metadata(tmp_path, kind="hdf5", columns=["url", "no such"]).close()
    assert open_metadata(tmp_path, kind="hdf5", columns=["no such"], progress=refuse).schema == (
        pa.schema([])
    )
    assert open_metadata(tmp_path, kind="hdf5", columns=["n"]).schema.names == ["n"]
    both = open_metadata(tmp_path, kind="hdf5", columns=["url", "n"], progress=refuse)
    assert both.schema.names == ["url", "n"]
    assert open_metadata(tmp_path, kind="hdf5").schema.names == ["url", "n"]


def test_a_file_of_some_columns_is_used_where_it_has_those_needed(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    open_metadata(tmp_path, kind="hdf5", columns=["url", "absent"]).close()
    for kind in ("hdf5", "auto"):
        store = open_metadata(tmp_path, kind=kind, needed=["url", "absent"], progress=refuse)
        assert isinstance(store, Hdf5Store)
        assert store.schema.names == ["url"]
    built = open_metadata(tmp_path, kind="hdf5", needed=["n"])
    assert built.schema.names == ["url", "n"]


def test_a_file_that_is_built_has_more_than_the_columns_needed(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    assert open_metadata(tmp_path, kind="hdf5", needed=["url"]).schema.names == ["url", "n"]
    assert open_metadata(tmp_path, needed=["url", "x"], progress=refuse).schema.names == [
        "url",
        "n",
    ]


def test_built_from_arrow_files(tmp_path: Path) -> None:
    write_arrow(tmp_path, TABLE, 3, files=2)
    assert urls(open_metadata(tmp_path, kind="hdf5"), [19]) == ["u19"]


def test_the_order_of_the_index_changes_no_id(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    order = np.random.default_rng(3).permutation(20)
    calls = []

    def give() -> np.ndarray[Any, Any]:
        calls.append(1)
        return order

    for _ in range(2):
        store = open_metadata(tmp_path, reorder=give)
        assert isinstance(store, OrderedStore) and isinstance(store.inner, Hdf5Store)
        assert store.inner.take(np.arange(20))["n"].to_pylist() == order.tolist()
        assert urls(store, list(range(20))) == TABLE["url"].to_pylist()
    assert len(calls) == 1
    assert (tmp_path / "metadata_reordered.hdf5").exists()
    assert not (tmp_path / "metadata.hdf5").exists()


def test_an_order_of_another_length_names_both_numbers(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    with pytest.raises(BadFolder, match="19 vectors, the metadata 20 rows"):
        open_metadata(tmp_path, kind="hdf5", reorder=np.arange(19))
    assert [path.name for path in tmp_path.iterdir()] == ["metadata"]


def test_order_does_not_apply_to_parquet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_parquet(tmp_path, TABLE)
    with open_metadata(tmp_path, kind="parquet", reorder=np.arange(20)) as store:
        assert isinstance(store, ParquetStore)
    assert "only HDF5" in caplog.text


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lance"):
        open_metadata(tmp_path, kind="lance")  # type: ignore[arg-type]


# What older servers left


def test_an_older_file_is_read_as_it_is_and_never_written(
    tmp_path: Path, reference: pa.Table
) -> None:
    write_parquet(tmp_path, reference)
    old = write_legacy(tmp_path / "metadata.hdf5", legacy_columns(reference, np.arange(ROWS)))
    before = old.read_bytes()
    with open_metadata(tmp_path, kind="hdf5") as store:
        assert isinstance(store, LegacyStore)
        assert store.schema.field("caption").type == pa.large_string()
    rebuilt = open_metadata(tmp_path, kind="hdf5", legacy="rebuild")
    assert isinstance(rebuilt, Hdf5Store)
    assert rebuilt.path == tmp_path / "metadata.columns.hdf5"
    assert old.read_bytes() == before
    assert isinstance(open_metadata(tmp_path, kind="hdf5", progress=refuse), Hdf5Store)


def test_an_older_file_can_be_rebuilt_without_its_sources(
    tmp_path: Path, reference: pa.Table
) -> None:
    write_legacy(tmp_path / "metadata.hdf5", legacy_columns(reference, np.arange(ROWS)))
    assert isinstance(open_metadata(tmp_path), LegacyStore)
    rebuilt = open_metadata(tmp_path, kind="hdf5", legacy="rebuild")
    assert isinstance(rebuilt, Hdf5Store)
    assert urls(rebuilt, [200]) == ["https://example.org/200.jpg"]


def test_an_older_file_of_another_length_is_refused(tmp_path: Path, reference: pa.Table) -> None:
    write_parquet(tmp_path, reference)
    write_legacy(tmp_path / "metadata.hdf5", legacy_columns(reference, np.arange(100)))
    with pytest.raises(CorruptFile, match=r"metadata\.hdf5 has 100 rows, .*metadata has 230"):
        open_metadata(tmp_path, kind="hdf5")


def test_an_older_build_that_was_interrupted_is_refused(tmp_path: Path) -> None:
    texts = np.array(["a"] * 10, object)
    write_legacy(tmp_path / "metadata.hdf5", {"url": texts, "caption": texts[:5]})
    with pytest.raises(CorruptFile, match=r"metadata\.hdf5 differ in length"):
        open_metadata(tmp_path, kind="hdf5")


def test_an_older_map_of_another_length_names_both_files(
    tmp_path: Path, reference: pa.Table
) -> None:
    write_legacy(tmp_path / "metadata_reordered.hdf5", legacy_columns(reference, np.arange(ROWS)))
    np.arange(ROWS - 1).tofile(tmp_path / MAPPING)
    with pytest.raises(CorruptFile, match=rf"{MAPPING}.*metadata_reordered\.hdf5"):
        open_metadata(tmp_path, kind="hdf5", reorder=np.arange(ROWS))


def test_an_older_map_that_points_outside_is_refused(tmp_path: Path, reference: pa.Table) -> None:
    write_legacy(tmp_path / "metadata_reordered.hdf5", legacy_columns(reference, np.arange(ROWS)))
    (np.arange(ROWS) + 1).tofile(tmp_path / MAPPING)
    store = open_metadata(tmp_path, kind="hdf5", reorder=np.arange(ROWS))
    with pytest.raises(CorruptFile, match=MAPPING):
        store.take(np.array([ROWS - 1]))


def test_an_older_reordered_file_without_its_map_is_built_anew(
    tmp_path: Path, reference: pa.Table, order: np.ndarray[Any, Any]
) -> None:
    old = write_legacy(tmp_path / "metadata_reordered.hdf5", legacy_columns(reference, order))
    with pytest.raises(BadFolder, match=MAPPING):
        open_metadata(tmp_path, kind="hdf5", reorder=order)
    write_parquet(tmp_path, reference)
    assert urls(open_metadata(tmp_path, kind="hdf5", reorder=order), [4]) == [
        "https://example.org/4.jpg"
    ]
    assert (tmp_path / "metadata_reordered.columns.hdf5").exists() and old.exists()


@pytest.mark.parametrize("content", [b"1234567", b"\x93NUMPY\x01\x00"])
def test_a_map_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MAPPING).write_bytes(content)
    with pytest.raises(CorruptFile, match=MAPPING):
        read_mapping(tmp_path / MAPPING)


def test_a_map_with_and_without_header(tmp_path: Path) -> None:
    np.save(tmp_path / "with.npy", np.arange(4))
    np.arange(4).tofile(tmp_path / "without.npy")
    for name in ("with.npy", "without.npy"):
        mapping = read_mapping(tmp_path / name)
        assert isinstance(mapping, np.memmap) and mapping.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"text"])
def test_a_damaged_cache_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    write_parquet(tmp_path, TABLE)
    (tmp_path / "metadata.hdf5").write_bytes(content)
    with pytest.raises(CorruptFile, match=r"metadata\.hdf5"):
        open_metadata(tmp_path, kind="hdf5")


def test_a_cut_older_file_is_refused_by_name(tmp_path: Path, reference: pa.Table) -> None:
    old = write_legacy(tmp_path / "metadata.hdf5", legacy_columns(reference, np.arange(ROWS)))
    old.write_bytes(old.read_bytes()[:-500])
    with pytest.raises(CorruptFile, match=r"metadata\.hdf5"):
        open_metadata(tmp_path, kind="hdf5")


# Interrupted builds


def test_an_error_in_a_build_leaves_nothing(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    with pytest.raises(AssertionError):
        open_metadata(tmp_path, kind="hdf5", reorder=np.arange(20), progress=refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["metadata"]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from search_back.metadata import open_metadata

def progress(done, total):
    if done >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

open_metadata(Path(sys.argv[1]), kind="hdf5", reorder=np.arange(20), progress=progress)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("rows", [6, 40])
def test_a_killed_build_leaves_no_file_under_the_final_name(tmp_path: Path, rows: int) -> None:
    write_parquet(tmp_path, TABLE)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(rows)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("*.hdf5"))
    assert list(tmp_path.glob(".metadata_reordered.hdf5.*"))
    assert urls(open_metadata(tmp_path, kind="hdf5", reorder=np.arange(20)), [5]) == ["u5"]
    assert not list(tmp_path.glob(".metadata_reordered.hdf5.*")), "the next build sweeps up"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    write_parquet(tmp_path, TABLE)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(BadFolder, match="writable"):
            open_metadata(tmp_path, kind="hdf5")
    finally:
        tmp_path.chmod(0o700)


def test_importing_loads_no_hdf5() -> None:
    code = "import sys, search_back.metadata; assert 'h5py' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
