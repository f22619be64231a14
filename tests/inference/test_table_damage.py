"""Damaged tables cost what is damaged."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import ConfigError
from search_back.inference.items import Item, entries_of
from search_back.inference.readers.tables import TableReader
from search_back.inference.report import Failure
from tests.inference.table_files import BINARY
from tests.inference.tables import read


def test_text_that_is_not_utf8_costs_its_row_or_caption(tmp_path: Path) -> None:
    def text(*values: bytes) -> pa.Array:
        return pa.array(values, pa.binary()).view(pa.string())

    table = pa.table(
        {
            "path": text(b"a", b"b\xff", b"c"),
            "text": text(b"\xff", b"", b""),
            "n": text(b"", b"", b"\xff"),
        }
    )
    for suffix, write in BINARY.values():
        write(table, tmp_path / f"x{suffix}", 9)
        item, unreadable, misspelt = entries_of(TableReader([tmp_path / f"x{suffix}"]))
        assert isinstance(item, Item) and item.caption and item.caption() == b"\xff"
        assert isinstance(unreadable, Failure) and "'b\\\\udcff' is not UTF-8" in unreadable.reason
        assert isinstance(misspelt, Failure) and "column 'n' is not UTF-8" in misspelt.reason


def spoil(path: Path, group: int, name: str) -> None:
    """Overwrite the pages of a column of a row group."""
    several = pq.read_metadata(path).row_group(group)
    columns = [several.column(i) for i in range(several.num_columns)]
    column = next(column for column in columns if column.path_in_schema == name)
    start = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)


@pytest.mark.parametrize("feature", [False, True])
def test_a_scan_reads_no_picture_where_statistics_tell(tmp_path: Path, feature: bool) -> None:
    path = tmp_path / "x.parquet"
    values: list[Any] = [b"a", b"b"]
    if feature:
        values = [{"bytes": value, "path": None} for value in values]
    pq.write_table(pa.table({"n": [1, 2], "image": values}), path)
    reader = TableReader([path])
    spoil(path, 0, "image.bytes" if feature else "image")
    scanned = read(reader, scan=True)
    assert [found[0] for found in scanned if isinstance(found, tuple)] == [
        "x.parquet#0",
        "x.parquet#1",
    ]
    (failure,) = read(reader)
    assert isinstance(failure, Failure) and "rows 0 to 1 cannot be read" in failure.reason


def test_a_damaged_row_group_costs_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"image": [bytes([i % 256]) * 9 for i in range(4000)]})
    pq.write_table(table, path, row_group_size=1500, compression=None, use_dictionary=False)
    spoil(path, 1, "image")
    reader = TableReader([path])
    assert len(list(reader.units())) == 3
    entries = read(reader)
    (failure,) = [entry for entry in entries if isinstance(entry, Failure)]
    assert failure.key == str(path.resolve())
    assert "rows 1500 to 2999 cannot be read" in failure.reason
    keys = [entry[0] for entry in entries if isinstance(entry, tuple)]
    assert keys == [f"x.parquet#{row}" for row in [*range(1500), *range(3000, 4000)]]


def test_a_page_whose_bytes_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"image": [b"0123456789"] * 20})
    pq.write_table(table, path, compression=None, use_dictionary=False, write_page_checksum=True)
    data = path.read_bytes()
    stored = b"\x0a\0\0\0" + b"0123456789"
    assert data.count(stored) == 20
    path.write_bytes(data.replace(stored, b"\x0a\0\0\0" + b"0123x56789", 1))
    (failure,) = read(TableReader([path]))
    assert isinstance(failure, Failure) and "rows 0 to 19" in failure.reason


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.csv.gz", "x.jsonl.gz"])
@pytest.mark.parametrize("data", [b"", b"PAR1", b"\x1f\x8b\x08 no gzip", b"ARROW1 no table"])
def test_what_is_no_table_fails_and_the_rest_goes_on(
    tmp_path: Path, name: str, data: bytes
) -> None:
    if name.endswith("gz") and not data.startswith(b"\x1f"):
        data = gzip.compress(data)[:-9]
    (tmp_path / name).write_bytes(data)
    pq.write_table(pa.table({"image": [b"good"]}), tmp_path / "z.parquet")
    failure, good = read(TableReader([tmp_path / name, tmp_path / "z.parquet"]))
    assert isinstance(failure, Failure) and failure.key == str(tmp_path.resolve() / name)
    assert good == ("z.parquet#0", None, b"good", None, None)


def test_only_damaged_tables_are_failures_too(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"none")
    reader = TableReader([tmp_path / "x.parquet"])
    assert [type(entry) for entry in read(reader)] == [Failure]
    assert "no table is whole" in reader.nothing_found()[1]


@pytest.mark.parametrize("kind", ["arrow", "stream", "compressed", "parquet"])
def test_any_cut_or_flipped_bytes_are_survived(tmp_path: Path, kind: str) -> None:
    suffix, write = BINARY[kind]
    path = tmp_path / f"x{suffix}"
    table = pa.table({"image": [b"picture"] * 40, "caption": ["words"] * 40, "n": range(40)})
    write(table, path, 10)
    whole = path.read_bytes()
    good = TableReader([path])
    assert len(read(good)) == 40
    for cut in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:cut])
        entries = read(TableReader([path]))
        # The end mark of a stream may be missing, and a stream may hold no batches.
        assert kind == "stream" or any(isinstance(entry, Failure) for entry in entries)
        late = read(good)
        assert len([entry for entry in late if isinstance(entry, tuple)]) <= 40
    for start in range(0, len(whole), 53):
        path.write_bytes(whole[:start] + b"\xee" * 8 + whole[start + 8 :])
        try:
            reader = TableReader([path])
        except ConfigError:
            continue  # a name of a column was hit
        read(reader)
