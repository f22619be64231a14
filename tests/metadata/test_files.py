"""Folders of Parquet and Arrow files: ids, schemas that differ, files that cannot be read."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import BadFolder, CorruptFile
from search_back.metadata import open_metadata
from search_back.metadata.parquet import ParquetSource, ParquetStore
from search_back.metadata.schema import wide

from .conftest import write_arrow, write_parquet


def write(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def rows(folder: Path, **options: Any) -> list[dict[str, Any]]:
    with open_metadata(folder, **options) as store:
        found: list[dict[str, Any]] = store.take(np.arange(len(store))).to_pylist()
        return found


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
def test_a_column_that_some_files_lack_is_null_there(tmp_path: Path, kind: Any) -> None:
    write(tmp_path / "metadata/0.parquet", url=["a", "b"], width=[1, 2])
    write(tmp_path / "metadata/1.parquet", caption=["c"], url=["d"])
    assert rows(tmp_path, kind=kind) == [
        {"url": "a", "width": 1, "caption": None},
        {"url": "b", "width": 2, "caption": None},
        {"url": "d", "width": None, "caption": "c"},
    ]


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
def test_types_that_differ_are_promoted(tmp_path: Path, kind: Any) -> None:
    write(tmp_path / "metadata/0.parquet", n=pa.array([1], pa.int32()), f=[1], s=pa.nulls(1))
    write(tmp_path / "metadata/1.parquet", n=pa.array([2**40], pa.int64()), f=[0.5], s=["x"])
    assert rows(tmp_path, kind=kind) == [
        {"n": 1, "f": 1.0, "s": None},
        {"n": 2**40, "f": 0.5, "s": "x"},
    ]


def test_types_that_conflict_are_refused_by_file_and_column(tmp_path: Path) -> None:
    write(tmp_path / "metadata/0.parquet", width=[1])
    write(tmp_path / "metadata/1.parquet", width=["one"])
    with pytest.raises(
        BadFolder, match=r"'width' is int64 in .*0\.parquet and large_string in .*1"
    ):
        open_metadata(tmp_path)


def test_a_value_that_does_not_survive_promotion_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "metadata/0.parquet", n=[2**60 + 1])
    write(tmp_path / "metadata/1.parquet", n=[0.5])
    with pytest.raises(BadFolder, match=r"'n' of .*0\.parquet"):
        open_metadata(tmp_path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "metadata/0.parquet")
    with pytest.raises(BadFolder, match=r"0\.parquet has two columns"):
        open_metadata(tmp_path)


def test_files_are_ordered_by_name_and_told_apart_by_content(tmp_path: Path) -> None:
    metadata = tmp_path / "metadata"
    write(metadata / "metadata_1.parquet", n=[1])
    write(metadata / "metadata_0.parquet", n=[0])
    write(metadata / "metadata_2.pq", n=[2])
    (metadata / "_SUCCESS").touch()
    (metadata / ".metadata_3.parquet.part").write_bytes(b"half")
    assert [row["n"] for row in rows(tmp_path)] == [0, 1, 2]


def test_dictionaries_and_the_index_of_pandas(tmp_path: Path) -> None:
    write(
        tmp_path / "metadata/0.parquet",
        kind=pa.array(["cat", "dog"]).dictionary_encode(),
        __index_level_0__=[7, 8],
    )
    assert rows(tmp_path) == [{"kind": "cat"}, {"kind": "dog"}]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "hdf5"])
def test_chosen_columns_leave_unknown_ones_out(tmp_path: Path, kind: Any) -> None:
    table = pa.table({"url": ["a", "b"], "caption": ["c", "d"], "n": [1, 2]})
    write = write_arrow if kind == "arrow" else write_parquet
    write(tmp_path, table, 1)
    found = rows(tmp_path, kind=kind, columns=["NSFW", "caption", "url"])
    assert found == [{"caption": "c", "url": "a"}, {"caption": "d", "url": "b"}]
    with open_metadata(tmp_path, kind=kind, columns=["NSFW"]) as store:
        assert len(store) == 2
        assert store.take(np.array([1])).num_rows == 1


def test_no_rows_and_no_columns(tmp_path: Path) -> None:
    write(tmp_path / "metadata/0.parquet", url=pa.array([], pa.string()))
    for kind in ("parquet", "hdf5"):
        with open_metadata(tmp_path, kind=kind) as store:
            assert len(store) == 0
            assert store.take(np.array([], np.int64)).schema.names == ["url"]


def test_a_stream_is_in_bounded_pieces(tmp_path: Path) -> None:
    write(tmp_path / "metadata/0.parquet", n=list(range(100)))
    write(tmp_path / "metadata/1.parquet", n=list(range(100, 130)))
    source = ParquetSource(sorted((tmp_path / "metadata").iterdir()))
    pieces = list(source.batches(40))
    assert max(piece.num_rows for piece in pieces) <= 40
    assert pa.concat_tables(pieces)["n"].to_pylist() == list(range(130))


def test_each_column_in_memory_is_one_chunk(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path, pa.table({"url": [str(i) for i in range(300)]}))
    taken = ParquetStore(folder / "metadata").take(np.arange(300))
    assert taken["url"].num_chunks == 1


def test_arrow_files_with_different_columns(tmp_path: Path) -> None:
    for name, table in {
        "0_en": pa.table({"url": ["a"], "n": pa.array([1], pa.int32())}),
        "1_multi": pa.table({"n": pa.array([2], pa.int64()), "language": ["de"]}),
    }.items():
        (tmp_path / "metadata").mkdir(exist_ok=True)
        with pa.ipc.new_file(str(tmp_path / f"metadata/{name}.arrow"), table.schema) as writer:
            writer.write_table(table)
    expected = [
        {"url": "a", "n": 1, "language": None},
        {"url": None, "n": 2, "language": "de"},
    ]
    assert rows(tmp_path) == expected
    assert rows(tmp_path, kind="hdf5") == expected


def test_arrow_views_and_dictionaries(tmp_path: Path) -> None:
    table = pa.table(
        {
            "url": pa.array(["a", None, "a long text that is not kept inline"], pa.string_view()),
            "kind": pa.array(["cat", "dog", "cat"]).dictionary_encode(),
        }
    )
    write_arrow(tmp_path, table, 2)
    assert rows(tmp_path, kind="arrow") == table.to_pylist()


def test_opening_arrow_files_copies_nothing(tmp_path: Path) -> None:
    write_arrow(tmp_path, pa.table({"url": ["x" * 1000] * 5000}), 100)
    before = pa.total_allocated_bytes()
    with open_metadata(tmp_path, kind="arrow") as store:
        assert len(store) == 5000
        assert pa.total_allocated_bytes() - before < 100_000


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "cut by one byte": lambda data: data[:-1],
    "first byte flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "another file": lambda data: b"<!doctype html>" * 20,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, kind: Any, damage: str) -> None:
    table = pa.table({"url": [f"https://example.org/{i}" for i in range(400)]})
    if kind == "parquet":
        victim = write_parquet(tmp_path, table, 2) / "metadata/metadata_1.parquet"
    else:
        victim = write_arrow(tmp_path, table, 50, 2) / "metadata/1_en.arrow"
    victim.write_bytes(DAMAGE[damage](victim.read_bytes()))
    with pytest.raises(CorruptFile, match=victim.name):
        open_metadata(tmp_path, kind=kind)


def test_a_page_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, pa.table({"url": ["x" * i for i in range(400)]}), 1)
    victim = path / "metadata/metadata_0.parquet"
    data = bytearray(victim.read_bytes())
    data[4:40] = bytes(36)
    victim.write_bytes(data)
    for kind in ("parquet", "hdf5"):
        with pytest.raises(CorruptFile, match=victim.name):
            open_metadata(tmp_path, kind=kind)
    assert not list(tmp_path.glob("*.hdf5")) and not list(tmp_path.glob(".metadata*"))


@pytest.mark.parametrize("kind", ["auto", "parquet", "arrow", "hdf5"])
def test_a_folder_without_metadata_is_refused(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(BadFolder, match=str(tmp_path)):
        open_metadata(tmp_path, kind=kind)
    with pytest.raises(BadFolder):
        open_metadata(tmp_path / "nowhere", kind=kind)


CONFLICTS: dict[str, tuple[pa.Array, pa.Array]] = {
    "number and text": (pa.array([1]), pa.array(["1"])),
    "bytes and text": (pa.array([b"a"]), pa.array(["a"])),
    "text and list": (pa.array(["a"]), pa.array([["a"]])),
    "flag and number": (pa.array([True]), pa.array([1])),
    "decimal and float": (pa.array([decimal.Decimal("0.1")]), pa.array([0.5])),
    "two zones": (
        pa.array([1], pa.timestamp("us", "UTC")),
        pa.array([1], pa.timestamp("us", "Asia/Tokyo")),
    ),
    "a zone and none": (
        pa.array([1], pa.timestamp("us", "UTC")),
        pa.array([1], pa.timestamp("us")),
    ),
    "bytes and text in a list": (pa.array([[b"a"]]), pa.array([["a"]])),
    "bytes and text in a struct": (pa.array([{"a": b"a"}]), pa.array([{"a": "a"}])),
}


@pytest.mark.parametrize("conflict", CONFLICTS)
@pytest.mark.parametrize("kind", ["parquet", "hdf5", "arrow"])
def test_a_conflict_names_column_types_and_files(tmp_path: Path, kind: Any, conflict: str) -> None:
    write = write_arrow if kind == "arrow" else write_parquet
    paths = []
    for number, array in enumerate(CONFLICTS[conflict]):
        made = write(tmp_path / f"{number}", pa.table({"x": array}), 1)
        (path,) = (made / "metadata").iterdir()
        (tmp_path / "metadata").mkdir(exist_ok=True)
        paths.append(path.rename(tmp_path / f"metadata/{number}{path.suffix}"))
    with pytest.raises(BadFolder) as caught:
        open_metadata(tmp_path, kind=kind)
    message = str(caught.value)
    assert "'x'" in message and all(str(path) in message for path in paths)
    for array in CONFLICTS[conflict]:
        assert re.sub(r"^large_|<.*", "", str(wide(array.type))) in message


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
@pytest.mark.parametrize(
    ("values", "other"),
    [
        (pa.array([2**53 + 1]), pa.array([0.5])),
        (pa.array([2**63], pa.uint64()), pa.array([1])),
        (pa.array([10**10], pa.timestamp("s")), pa.array([1], pa.timestamp("ns"))),
    ],
    ids=["integer as float", "unsigned as signed", "time out of range"],
)
def test_a_value_that_the_common_type_lacks_is_refused(
    tmp_path: Path, kind: Any, values: pa.Array, other: pa.Array
) -> None:
    write(tmp_path / "metadata/0.parquet", x=values)
    write(tmp_path / "metadata/1.parquet", x=other)
    with pytest.raises(BadFolder, match=r"'x' of .*0\.parquet is .* does not fit"):
        open_metadata(tmp_path, kind=kind)
    assert not list(tmp_path.glob("*.hdf5"))


def test_a_page_whose_checksum_does_not_match_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metadata/0.parquet"
    path.parent.mkdir()
    pq.write_table(
        pa.table({"url": ["x" * 50, "y" * 50]}),
        path,
        write_page_checksum=True,
        compression="none",
        use_dictionary=False,
    )
    page = b"\x32\0\0\0" + b"x" * 50 + b"\x32\0\0\0"
    assert page in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(page, page.replace(b"xx\x32", b"xz\x32")))
    with pytest.raises(CorruptFile, match=r"0\.parquet"):
        open_metadata(tmp_path)
