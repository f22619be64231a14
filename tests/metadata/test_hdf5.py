"""The HDF5 layout: what is in the file, types that survive, damage that is seen."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest

from search_back.errors import BadFolder, CorruptFile
from search_back.metadata.arrow import ArrowStore
from search_back.metadata.hdf5 import Hdf5Store
from search_back.metadata.hdf5_writer import write_hdf5

from .conftest import ROWS, reference_table, write_arrow


class Rows:
    """A table in pieces of a length that is no multiple of 8."""

    def __init__(self, table: pa.Table, piece: int = 13) -> None:
        self.table = table
        self.schema = table.schema
        self.piece = piece

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def batches(self, rows: int = 0) -> Any:
        for start in range(0, len(self), self.piece):
            yield self.table.slice(start, self.piece)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_hdf5(tmp_path / "m.hdf5", Rows(reference_table()))
    return tmp_path / "m.hdf5"


def test_a_tool_that_knows_hdf5_can_read_it(file: Path) -> None:
    with h5py.File(file) as opened:
        url = opened["columns/url"]
        start, end = url["offsets"][3:5]
        assert bytes(url["bytes"][start:end]) == b"https://example.org/3.jpg"
        assert opened["columns/height/values"].dtype == np.int16
        valid = np.unpackbits(opened["columns/width/valid"][()], bitorder="little")[:ROWS]
        assert valid.tolist() == [int(i % 3 != 0) for i in range(ROWS)]
        assert "valid" not in url, "a column without nulls needs no validity"
        opened.visititems(
            lambda name, item: (
                None if isinstance(item, h5py.Group) else assert_contiguous(name, item)
            )
        )


def assert_contiguous(name: str, item: h5py.Dataset) -> None:
    assert item.chunks is None and item.compression is None, name


VECTOR = pa.list_(pa.float32(), 2)
PAIRS = pa.map_(pa.int64(), pa.large_string())
NESTED = {
    "struct": pa.array(
        [None if i % 4 == 0 else {"a": i, "b": None if i % 3 else str(i)} for i in range(50)],
        pa.struct([("a", pa.int8()), ("b", pa.string())]),
    ),
    "list of lists": pa.array([[["x"] * (i % 3)] * (i % 4) for i in range(50)]),
    "empty lists": pa.array([[]] * 50, pa.list_(pa.string())),
    "vectors": pa.array([None if i % 7 == 0 else [i, 1.5] for i in range(50)], VECTOR),
    "flags": pa.array([[True, None, False][: i % 4] for i in range(50)], pa.list_(pa.bool_())),
    "decimal": pa.array([decimal.Decimal(i) / 4 for i in range(50)], pa.decimal128(9, 2)),
    "fixed": pa.array([bytes([i, 0, i]) for i in range(50)], pa.binary(3)),
    "half": pa.array(np.arange(50, dtype=np.float16)),
    "duration": pa.array(range(50), pa.duration("ms")),
    "time": pa.array(range(50), pa.time64("us")),
    "map": pa.array([None if i % 7 == 0 else [(j, [i]) for j in range(i % 3)] for i in range(50)],
                    pa.map_(pa.int8(), pa.list_(pa.int64()))),
    "category": pa.array(["cat", "dog"] * 25).dictionary_encode(),
    "a/b é.": pa.array(range(50), pa.uint64()),
    "..": pa.array(range(50), pa.uint8()),
    "": pa.array(["x"] * 50, pa.string_view()),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("ordered", [False, True])
def test_types_survive(tmp_path: Path, name: str, ordered: bool) -> None:
    order = np.random.default_rng(1).permutation(50)
    table = pa.table({name: NESTED[name], "other": pa.array(range(50))})
    write_hdf5(tmp_path / "m.hdf5", Rows(table), order=order if ordered else None)
    with Hdf5Store(tmp_path / "m.hdf5") as store:
        store.verify()
        found = store.take(order if not ordered else np.arange(50))
        found.validate(full=True)
        rows = table.to_pylist()
        assert found.to_pylist() == [rows[i] for i in order]


def test_a_type_that_cannot_be_kept_is_refused_by_column(tmp_path: Path) -> None:
    union = pa.UnionArray.from_sparse(
        pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
    )
    with pytest.raises(BadFolder, match="'u' is sparse_union"):
        write_hdf5(tmp_path / "m.hdf5", Rows(pa.table({"u": union})))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [60_000, 200])
def test_a_large_take_in_any_order(tmp_path: Path, rows: int) -> None:
    table = pa.table(
        {
            "n": np.arange(rows),
            "s": [str(i) for i in range(rows)],
            "few": [None if i % 7 == 0 else f"é{i % 3}" for i in range(rows)],
            "pairs": pa.array([[(i, str(i))] * (i % 3) for i in range(rows)], PAIRS),
        }
    )
    write_hdf5(tmp_path / "m.hdf5", Rows(table, 9999))
    ids = np.random.default_rng(0).integers(0, rows, 100_000)
    with Hdf5Store(tmp_path / "m.hdf5") as store:
        assert store.take(ids).to_pydict() == table.take(pa.array(ids)).to_pydict()


@pytest.mark.parametrize(
    ("distinct", "rows", "coded"),
    [(4, 16, True), (4, 15, False), (256, 2000, True), (257, 2000, False)],
)
@pytest.mark.parametrize("ordered", [False, True])
def test_few_distinct_texts_are_kept_once(
    tmp_path: Path, distinct: int, rows: int, coded: bool, ordered: bool
) -> None:
    words = [None, *(f"é{i}" for i in range(distinct - 1))]
    table = pa.table({"flag": [words[i % distinct] for i in range(rows)]})
    order = np.random.default_rng(0).permutation(rows)
    write_hdf5(tmp_path / "m.hdf5", Rows(table), order=order if ordered else None)
    with h5py.File(tmp_path / "m.hdf5") as opened:
        found = set(opened["columns/flag"])
    assert found == ({"codes", "words"} if coded else {"bytes", "offsets", "valid"})
    with Hdf5Store(tmp_path / "m.hdf5") as store:
        store.verify()
        expected = table.take(pa.array(order)) if ordered else table
        assert store.take(np.arange(rows)).to_pydict() == expected.to_pydict()


@pytest.mark.parametrize(("version", "readable"), [(1, True), (2, True), (3, False)])
def test_versions_of_the_layout(tmp_path: Path, version: int, readable: bool) -> None:
    write_hdf5(tmp_path / "m.hdf5", Rows(pa.table({"url": ["a", "b"]})))
    with h5py.File(tmp_path / "m.hdf5", "r+") as opened:
        assert opened.attrs["version"] == 2
        opened.attrs["version"] = version
    if readable:
        with Hdf5Store(tmp_path / "m.hdf5") as store:
            assert store.take(np.array([1]))["url"].to_pylist() == ["b"]
    else:
        with pytest.raises(CorruptFile, match=r"m\.hdf5 has layout version 3, .* up to 2"):
            Hdf5Store(tmp_path / "m.hdf5")


@pytest.mark.parametrize(
    "order", [np.arange(5), np.zeros(ROWS, np.int64), np.arange(ROWS) - 1], ids=str
)
def test_an_order_that_is_no_permutation_is_refused(tmp_path: Path, order: Any) -> None:
    with pytest.raises(BadFolder, match=r"order of the vector index|holds 5 vectors"):
        write_hdf5(tmp_path / "m.hdf5", Rows(reference_table()), order=order)
    assert not list(tmp_path.iterdir())


def test_opening_copies_no_column(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "m.hdf5", Rows(pa.table({"url": ["x" * 1000] * 5000}), 5000))
    before = pa.total_allocated_bytes()
    with Hdf5Store(tmp_path / "m.hdf5") as store:
        assert pa.total_allocated_bytes() - before < 100_000
        assert len(store) == 5000


def test_any_store_can_be_written(tmp_path: Path) -> None:
    write_arrow(tmp_path, reference_table(), 9)
    write_hdf5(tmp_path / "m.hdf5", ArrowStore(tmp_path / "metadata"))
    with Hdf5Store(tmp_path / "m.hdf5") as store:
        assert store.take(np.array([5])).to_pylist() == reference_table().slice(5, 1).to_pylist()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "cut by 100 bytes": lambda data: data[:-100],
    "cut to the header": lambda data: data[:40],
    "first byte flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "superblock flipped": lambda data: data[:20] + bytes([data[20] ^ 4]) + data[21:],
    "manifest flipped": lambda data: data.replace(b'{"rows": 230', b'{"rows": 231'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_by_name(file: Path, damage: str) -> None:
    data = file.read_bytes()
    file.write_bytes(DAMAGE[damage](data))
    assert file.read_bytes() != data
    with pytest.raises(CorruptFile, match=str(file)):
        Hdf5Store(file)


def test_any_flipped_bit_is_refused_or_found_by_verify(file: Path) -> None:
    data = file.read_bytes()
    rng = np.random.default_rng(0)
    ids = np.arange(ROWS)
    with Hdf5Store(file) as store:
        whole = store.take(ids, ["url", "caption", "note", "raw"])
    for place in rng.integers(0, len(data), 80):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        try:
            with Hdf5Store(file) as store:
                store.verify()
                found = store.take(ids, ["url", "caption", "note", "raw"])
        except CorruptFile as error:
            assert str(file) in str(error)
        else:
            assert found.equals(whole), f"byte {place} went unseen"


@pytest.mark.parametrize("small", [True, False])
def test_offsets_out_of_order_are_an_error_not_a_crash(
    file: Path, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not small:
        monkeypatch.setattr("search_back.metadata.columns._BLOCK", 100)
    with h5py.File(file) as opened:
        start = opened["columns/url/offsets"].id.get_offset()
    with open(file, "r+b") as handle:
        handle.seek(start + 8 * 5)
        handle.write(np.int64(2**50).tobytes())
    with Hdf5Store(file) as store:
        with pytest.raises(CorruptFile, match="'url'"):
            store.take(np.array([5]), ["url"])
        with pytest.raises(CorruptFile, match="'url'"):
            store.take(np.arange(ROWS), ["url"])
        if not small:
            assert store.take(np.array([7]), ["url"]).num_rows == 1
        assert store.take(np.array([5]), ["caption"]).num_rows == 1


def test_a_file_repacked_with_compression_says_so(file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.hdf5"
    with h5py.File(file) as source, h5py.File(packed, "w") as target:
        for name, item in source.items():
            source.copy(item, target, name)
        target.attrs.update(source.attrs)
        url = source["columns/url/bytes"][()]
        del target["columns/url/bytes"]
        target.create_dataset("columns/url/bytes", data=url, compression="gzip")
    with pytest.raises(CorruptFile, match="compressed"):
        Hdf5Store(packed)
