from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import ConfigError
from search_back.inference.items import Entry, Item, Reader, Skipped, entries_of
from search_back.inference.readers.table_columns import PATH_NAMES
from search_back.inference.readers.tables import TableReader
from search_back.inference.report import Failure

Found = tuple[str, str | None, bytes | None, str | None, dict[str, Any] | None]
"""Key without its folder, image_path, picture, caption, record."""


def plain(entry: Entry) -> Found | Failure | Skipped:
    if not isinstance(entry, Item):
        return entry
    record = None
    if entry.record is not None:
        record = entry.record.batch.slice(entry.record.row, 1).to_pylist()[0]
    return (
        entry.key.rsplit("/", 1)[-1],
        entry.image_path,
        loaded(entry),
        entry.caption().decode(errors="replace") if entry.caption else None,
        record,
    )


def loaded(item: Item) -> bytes | None:
    try:
        return item.image() if item.image else None
    except FileNotFoundError:
        return None


def read(reader: Reader, *, scan: bool = False) -> list[Found | Failure | Skipped]:
    return [plain(entry) for entry in entries_of(reader, scan=scan)]


def records(reader: Reader) -> list[dict[str, Any]]:
    found = []
    for entry in entries_of(reader):
        assert isinstance(entry, Item) and entry.record is not None
        assert entry.record.batch.schema.equals(reader.schema)
        found += entry.record.batch.slice(entry.record.row, 1).to_pylist()
    return found


def write_parquet(table: pa.Table, path: Path, rows: int) -> None:
    pq.write_table(table, path, row_group_size=rows)


def write_arrow(table: pa.Table, path: Path, rows: int) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def write_stream(table: pa.Table, path: Path, rows: int) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def write_packed(table: pa.Table, path: Path, rows: int) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)


Write = Callable[[pa.Table, Path, int], None]
BINARY: dict[str, tuple[str, Write]] = {
    "parquet": (".parquet", write_parquet),
    "arrow": (".arrow", write_arrow),
    "stream": (".arrow", write_stream),
    "compressed": (".feather", write_packed),
}
binary = pytest.mark.parametrize(("suffix", "write"), BINARY.values(), ids=BINARY)


@binary
def test_bytes_captions_and_columns_come_row_by_row(
    tmp_path: Path, suffix: str, write: Write
) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int16()),
            "image": [b"one", None, b"three"],
            "caption": ["a", "b", None],
            "similarity": [0.5, math.inf, None],
        }
    )
    write(table, tmp_path / f"x{suffix}", 2)
    reader = TableReader([tmp_path / f"x{suffix}"])
    assert reader.schema == pa.schema([("id", pa.int16()), ("similarity", pa.float64())])
    assert reader.image_root is None
    assert read(reader) == [
        (f"x{suffix}#0", None, b"one", "a", {"id": 1, "similarity": 0.5}),
        Skipped("no picture"),
        (f"x{suffix}#2", None, b"three", None, {"id": 3, "similarity": None}),
    ]
    assert read(reader, scan=True) == [
        (f"x{suffix}#0", None, None, "a", None),
        Skipped("no picture"),
        (f"x{suffix}#2", None, None, None, None),
    ]


@binary
def test_the_image_feature_of_hugging_face(tmp_path: Path, suffix: str, write: Write) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [
        {"bytes": b"stored", "path": "was.jpg"},
        {"bytes": None, "path": "is.jpg"},
        {"bytes": b"bare", "path": None},
        {"bytes": None, "path": None},
        None,
    ]
    (tmp_path / "is.jpg").write_bytes(b"beside")
    write(pa.table({"image": pa.array(values, kind)}), tmp_path / f"x{suffix}", 2)
    reader = TableReader([tmp_path / f"x{suffix}"])
    assert len(reader.schema) == 0
    assert read(reader) == [
        (f"x{suffix}#0", "was.jpg", b"stored", None, None),
        (f"x{suffix}#1", str(tmp_path.resolve() / "is.jpg"), b"beside", None, None),
        (f"x{suffix}#2", None, b"bare", None, None),
        Skipped("no picture"),
        Skipped("no picture"),
    ]
    assert read(reader, scan=True) == [
        (f"x{suffix}#0", "was.jpg", None, None, None),
        (f"x{suffix}#1", str(tmp_path.resolve() / "is.jpg"), None, None, None),
        (f"x{suffix}#2", None, None, None, None),
        Skipped("no picture"),
        Skipped("no picture"),
    ]


def test_paths_are_relative_to_the_table_and_urls_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "a %20b.jpg").write_bytes(b"a")
    absolute = tmp_path.resolve() / "a %20b.jpg"
    names = [
        "a %20b.jpg",
        str(absolute),
        absolute.as_uri(),
        "./none.jpg",
        "https://x/1.jpg",
        "",
        None,
    ]
    pq.write_table(pa.table({"image": names, "key": [*"012345", None]}), tmp_path / "x.parquet")
    reader = TableReader([tmp_path / "x.parquet"], fetch=lambda url: f"got {url}".encode())
    assert reader.image_root == str(tmp_path.resolve())
    assert reader.schema.names == ["image", "key"], "addresses are worth keeping"
    entries = list(entries_of(reader))
    items = [entry for entry in entries if isinstance(entry, Item)]
    assert entries[5:] == [Skipped("no picture")] * 2
    assert [item.image_path for item in items] == [
        *[str(absolute)] * 3,
        str(tmp_path.resolve() / "none.jpg"),
        "4",
    ]
    assert [item.key.rsplit("#")[-1] for item in items] == list("01234")
    assert [item.image() for item in items[:3] if item.image] == [b"a"] * 3
    assert items[3].image is not None and items[4].image is not None
    with pytest.raises(FileNotFoundError):
        items[3].image()
    assert items[4].image() == b"got https://x/1.jpg"


def test_urls_need_something_that_fetches(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["http://x/1.jpg"], "text": ["a"]}), tmp_path / "x.parquet")
    reader = TableReader([tmp_path / "x.parquet"])
    assert reader.image_root is None
    for scan in (False, True):
        with pytest.raises(ConfigError, match=r"fetches none.*http://x/1\.jpg"):
            read(reader, scan=scan)
    captions = TableReader([tmp_path / "x.parquet"], pictures=False)
    assert read(captions) == [("x.parquet#0", None, None, "a", {"url": "http://x/1.jpg"})]


def test_without_pictures_rows_are_captions(tmp_path: Path) -> None:
    table = pa.table(
        {"image": [b"a", None, b"c"], "text": ["x", "y", None], "key": ["k", "l", "m"]}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    reader = TableReader([tmp_path / "x.parquet"], pictures=False)
    assert read(reader) == [
        ("x.parquet#k", "k", None, "x", {"key": "k"}),
        ("x.parquet#l", "l", None, "y", {"key": "l"}),
        Skipped("no caption"),
    ]


@pytest.mark.parametrize(
    ("columns", "image", "caption"),
    [
        ({"URL": "u", "Image": b"i", "TEXT": "t"}, "Image", "TEXT"),
        ({"image": "path.jpg", "jpg": b"i", "alt": "t"}, "jpg", "alt"),
        (
            {"image": 7, "url": "u", "file_name": "f", "text": "t", "caption": "c"},
            "file_name",
            "caption",
        ),
        ({"url": "u", "caption": 7, "text": "t"}, "url", "text"),
        ({"picture": None, "caption": None}, "picture", "caption"),
    ],
)
def test_columns_are_found_by_name_and_type(
    tmp_path: Path, columns: dict[str, Any], image: str, caption: str
) -> None:
    table = pa.table({name: [value] for name, value in columns.items()})
    pq.write_table(table, tmp_path / "x.parquet")
    found = [
        reader.nothing_found()[1]
        for pictures in (True, False)
        for reader in [TableReader([tmp_path / "x.parquet"], pictures=pictures)]
    ]
    assert found == [f"looked in column {image!r}", f"looked in column {caption!r}"]


def test_columns_that_are_named(tmp_path: Path) -> None:
    table = pa.table({"a": ["a.jpg"], "image": [b"i"], "B": ["b"], "caption": ["c"], "n": [1]})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    reader = TableReader([path], image_column="a", caption_column="b")
    (item,) = entries_of(reader)
    assert isinstance(item, Item) and item.caption is not None
    assert (item.image_path, item.caption()) == (str(tmp_path.resolve() / "a.jpg"), b"b")
    assert reader.schema.names == ["a", "image", "n"]
    with pytest.raises(
        ConfigError, match=r"no such column \(got: imag\): give --image-column .*image"
    ):
        TableReader([path], image_column="imag")
    with pytest.raises(ConfigError, match=r"'n' holds no bytes, paths or URLs .*int64"):
        TableReader([path], image_column="n")
    with pytest.raises(ConfigError, match="'n' holds no texts"):
        TableReader([path], caption_column="n")


def test_no_column_for_pictures_lists_the_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "y": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=r"x \(int64\), y \(string\)\): name it: --image-column"):
        TableReader([tmp_path / "x.parquet"])


def test_columns_of_several_tables_are_unified(tmp_path: Path) -> None:
    dictionary = pa.array(["x"]).dictionary_encode()
    first = {"image": [b"1"], "n": pa.array([1], pa.int8()), "t": pa.array([None]), "d": dictionary}
    second = {
        "d": pa.array(["y"], pa.large_string()),
        "n": pa.array([2**40]),
        "image": [b"2"],
        "t": pa.array([datetime.datetime(2020, 1, 2)], pa.timestamp("us")),
        "more": [[1, None]],
    }
    write_arrow(pa.table(first), tmp_path / "a.arrow", 9)
    pq.write_table(pa.table(second), tmp_path / "b.parquet")
    reader = TableReader([tmp_path / "a.arrow", tmp_path / "b.parquet"])
    assert reader.schema == pa.schema(
        [
            ("n", pa.int64()),
            ("t", pa.timestamp("us")),
            ("d", pa.large_string()),
            ("more", pa.list_(pa.int64())),
        ]
    )
    assert records(reader) == [
        {"n": 1, "t": None, "d": "x", "more": None},
        {"n": 2**40, "t": datetime.datetime(2020, 1, 2), "d": "y", "more": [1, None]},
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.string()),
        (pa.string(), pa.binary()),
        (pa.uint64(), pa.int8()),
        (pa.bool_(), pa.int8()),
        (pa.decimal128(5, 2), pa.float64()),
    ],
)
def test_columns_that_do_not_unify_are_named(
    tmp_path: Path, one: pa.DataType, other: pa.DataType
) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, kind in zip(paths, (one, other), strict=True):
        pq.write_table(pa.table({"image": [b"i"], "c": pa.nulls(1, kind)}), path)
    with pytest.raises(ConfigError) as error:
        TableReader(paths)
    for part in ("'c'", str(paths[0]), str(paths[1]), str(one), str(other)):
        assert part in str(error.value)
    assert len(read(TableReader(paths, metadata=False))) == 2


def test_a_number_that_the_common_type_cannot_hold_is_a_failure(tmp_path: Path) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, values in zip(paths, ([2**53, 2**60 + 1], [0.5]), strict=True):
        pq.write_table(pa.table({"image": [b"i"] * len(values), "n": values}), path)
    failure, good = read(TableReader(paths))
    assert isinstance(failure, Failure) and failure.key == str(paths[0].resolve())
    assert "rows 0 to 1 do not fit the other tables: " in failure.reason
    assert good == ("b.parquet#0", None, b"i", None, {"n": 0.5})


def test_columns_that_cannot_be_carried_are_named(tmp_path: Path) -> None:
    image = pa.array([b"i"])
    path = tmp_path / "x.arrow"
    write_arrow(pa.Table.from_arrays([image, image], names=["image", "image"]), path, 9)
    with pytest.raises(ConfigError, match="two columns of one name"):
        TableReader([path])
    write_arrow(pa.table({"image": image, "": [1]}), path, 9)
    with pytest.raises(ConfigError, match="has no name"):
        TableReader([path])
    write_arrow(pa.table({"image": image, "e": pa.array([{}], pa.struct([]))}), path, 9)
    with pytest.raises(ConfigError, match="'e' is of a type that Parquet does not hold"):
        TableReader([path])
    assert read(TableReader([path], metadata=False)) == [("x.arrow#0", None, b"i", None, None)]


def test_a_table_without_the_picture_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"i"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "b.parquet")
    with pytest.raises(ConfigError, match=r"b\.parquet lacks the column 'image'"):
        TableReader([tmp_path / "a.parquet", tmp_path / "b.parquet"])


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


def test_a_large_row_group_is_read_a_few_pictures_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"image": [bytes([i]) * 2_000_000 for i in range(40)]})
    pq.write_table(table, path, compression=None, use_dictionary=False, write_batch_size=4)
    del table
    before = pa.default_memory_pool().bytes_allocated()
    most = 0
    for row, entry in enumerate(entries_of(TableReader([path]))):
        assert isinstance(entry, Item) and entry.image is not None
        assert entry.image() == bytes([row]) * 2_000_000
        most = max(most, pa.default_memory_pool().bytes_allocated() - before)
    assert row == 39
    assert most < 64_000_000


def csv_reader(tmp_path: Path, text: str | bytes, name: str = "x.csv") -> TableReader:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return TableReader([tmp_path / name])


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz"])
def test_csv_types_come_from_all_rows(tmp_path: Path, name: str) -> None:
    rows = [
        ["path", "caption", "id", "n", "x", "b", "mixed", "none", "day", "long", ""],
        ["a.jpg", "one\ntwo", "007", "1", "1", "true", "1", "", "2020-01-02", "1" * 20, "0"],
        ["b.jpg", ' "q" ', "8", "-20", "2.50", "False", "True", "", "", "2", "1"],
        ["", "", "9", "", "nan", "", "NA", "", "", "", ""],
        ["c.jpg", "", "9", "", "-1e-05", "", "NA", "", "", "", ""],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if "tsv" in name else ",").writerows(rows)
    reader = csv_reader(tmp_path, "\ufeff" + text.getvalue(), name)
    kinds = {field.name: str(field.type) for field in reader.schema}
    assert kinds == {
        **{"path": "string", "id": "string", "n": "int64", "x": "double", "b": "bool"},
        **{"mixed": "string", "none": "null", "day": "string", "long": "string"},
        "column_11": "int64",
    }
    first, second, skipped, last = read(reader)
    assert isinstance(first, tuple) and isinstance(second, tuple) and isinstance(last, tuple)
    assert (first[0], first[3], second[3]) == (f"{name}#0", "one\ntwo", ' "q" ')
    assert skipped == Skipped("no picture")
    assert first[4] is not None and list(first[4].values()) == [
        *("a.jpg", "007", 1, 1.0, True, "1", None, "2020-01-02", "1" * 20, 0),
    ]
    assert last[3] is None
    assert last[4] is not None and list(last[4].values()) == [
        *("c.jpg", "9", None, -1e-05, None, "NA", None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "1.5"], "double"),
        (["1234567890123456", "1.5"], "string"),
        (["999999999999999999"], "int64"),
        (["9999999999999999999"], "string"),
        (["-0"], "string"),
        (["+1"], "string"),
        (["1e999"], "string"),
        (["inf", "-1"], "double"),
        (["true", "1"], "string"),
        (["١"], "string"),
    ],
)
def test_csv_numbers_are_plainly_written(tmp_path: Path, cells: list[str], kind: str) -> None:
    reader = csv_reader(tmp_path, "path,c\n" + "".join(f"a,{cell}\n" for cell in cells))
    assert str(reader.schema.field("c").type) == kind
    if kind == "string":
        assert [record["c"] for record in records(reader)] == cells


def test_bad_rows_of_csv_fail_with_their_lines(tmp_path: Path) -> None:
    reader = csv_reader(
        tmp_path,
        b'path,text\na.jpg,"two\nlines"\nb.jpg\n\nc.jpg,c,c\nd.jpg,\xff\n"e"x,e\nf.jpg,f\ng.jpg,"open\n',
    )
    entries = read(reader)
    reasons = [entry.reason for entry in entries if isinstance(entry, Failure)]
    assert reasons[:3] == [
        "line 4: 1 cells, but 2 columns",
        "line 6: 3 cells, but 2 columns",
        "line 7: it is not UTF-8: convert the table",
    ]
    assert reasons[3].startswith("line 8: ") and reasons[4].startswith("line 10: ")
    assert [type(entry) for entry in entries] == [tuple, *[Failure] * 4, tuple, Failure]
    assert isinstance(entries[0], tuple) and isinstance(entries[5], tuple)
    assert (entries[0][0], entries[5][0]) == ("x.csv#0", "x.csv#5")
    keys = [entry.key for entry in entries if isinstance(entry, Failure)]
    assert keys[0] == f"{tmp_path.resolve()}/x.csv#1"


def test_a_packed_csv_that_ends_early_keeps_what_came(tmp_path: Path) -> None:
    text = "path,n\n" + "".join(f"{i}.jpg,{i * 7919}\n" for i in range(5000))
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text.encode())[:-3000])
    entries = read(TableReader([tmp_path / "x.csv.gz"]))
    assert isinstance(entries[-1], Failure) and "to the end cannot be read" in entries[-1].reason
    found = [entry for entry in entries[:-1] if isinstance(entry, tuple)]
    assert len(found) == len(entries) - 1 > 1000
    assert f"rows {len(found)} to" in entries[-1].reason


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_utf16_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="not UTF-8: convert"):
        csv_reader(tmp_path, 'path,n\n{"path": "a"}'.encode("utf-16"), name)


def test_json_lines(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"file_name": "a.jpg", "text": "é", "n": 1, "mixed": "x", "tags": ["a"], "none": None},
        {"file_name": "b.jpg", "n": 2.5, "mixed": {"k": 1}, "box": {"x": 1}},
        {"text": "no picture"},
    ]
    lines = [json.dumps(row) for row in rows]
    lines[1:1] = ["", "[1]", '{"file_name": ']
    reader = csv_reader(tmp_path, "\n".join(lines), "x.jsonl")
    kinds = {field.name: str(field.type) for field in reader.schema}
    assert kinds == {
        **{"file_name": "string", "n": "double", "mixed": "string", "none": "null"},
        **{"tags": "list<item: string>", "box": "struct<x: int64>"},
    }
    first, bad, worse, second, skipped = read(reader)
    assert isinstance(first, tuple) and isinstance(second, tuple)
    assert first[3] == "é" and skipped == Skipped("no picture")
    assert isinstance(bad, Failure) and bad.reason.startswith("line 3: ")
    assert isinstance(worse, Failure) and worse.reason.startswith("line 4: ")
    assert first[4] is not None and first[4]["mixed"] == "x" and first[4]["tags"] == ["a"]
    assert second[4] is not None and second[4]["mixed"] == '{"k": 1}'


def test_json_of_too_many_keys_is_refused(tmp_path: Path) -> None:
    row = json.dumps({"path": "a", **{str(i): i for i in range(1000)}})
    with pytest.raises(ConfigError, match="more than 1000 keys"):
        csv_reader(tmp_path, row, "x.jsonl")


def test_a_file_that_changes_between_passes_fails(tmp_path: Path) -> None:
    reader = csv_reader(tmp_path, "path,n\na.jpg,1\n")
    (tmp_path / "x.csv").write_text("path,n\na.jpg,one\n")
    (failure,) = read(reader)
    assert isinstance(failure, Failure) and "rows 0 to the end" in failure.reason


def test_stamps_follow_the_file_and_names_are_unlike(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [b"i"] * 2500}), path, row_group_size=1000)
    units = list(TableReader([path]).units())
    assert len({unit.name for unit in units}) == 3
    stamps = [unit.stamp() for unit in units]
    assert stamps == [unit.stamp() for unit in TableReader([path]).units()]
    path.write_bytes(path.read_bytes() + b" ")
    assert all(unit.stamp() != stamp for unit, stamp in zip(units, stamps, strict=True))


KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=4),
    pa.binary(): st.binary(max_size=4),
    pa.timestamp("us"): st.datetimes(),
    pa.decimal128(9, 2): st.decimals(-9999, 9999, places=2).map(
        lambda value: decimal.Decimal(value).quantize(decimal.Decimal("0.01"))
    ),
    pa.list_(pa.int32()): st.lists(st.none() | st.integers(-9, 9), max_size=3),
    pa.struct([("x", pa.int8()), ("y", pa.string())]): st.fixed_dictionaries(
        {"x": st.none() | st.integers(0, 9), "y": st.text(max_size=2)}
    ),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["a", "b", "é"]),
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4).filter(
    lambda name: name.lower() not in (*PATH_NAMES, "key", "image", "caption", "status")
)


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[pa.Table, int]]:
    """Tables of like columns in any order, and how many rows to write at once."""
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    kinds = {name: draw(st.sampled_from(list(KINDS))) for name in names}
    kinds |= {"image": pa.binary(), "caption": pa.string()}
    if draw(st.booleans()):
        kinds["key"] = pa.string()
    found = []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 7))
        columns = {}
        for name in draw(st.permutations(list(kinds))):
            if name not in ("image", "caption", "key") and draw(st.integers(0, 4)) == 0:
                continue
            values = st.sampled_from("kl") if name == "key" else KINDS[kinds[name]]
            cells = draw(st.lists(st.none() | values, min_size=count, max_size=count))
            columns[name] = pa.array(cells, kinds[name])
        found.append((pa.table(columns), draw(st.integers(1, 4))))
    return found


def expected(several: Sequence[tuple[pa.Table, int]], suffix: str) -> list[Any]:
    names = list(dict.fromkeys(name for table, _ in several for name in table.column_names))
    carried = [name for name in names if name not in ("image", "caption")]
    found: list[Any] = []
    for number, (table, _) in enumerate(several):
        for row, cells in enumerate(table.to_pylist()):
            if cells["image"] is None:
                found.append(Skipped("no picture"))
                continue
            key = cells.get("key")
            found.append(
                (
                    f"{number}{suffix}#{row if key is None else key}",
                    key,
                    cells["image"],
                    cells["caption"],
                    {name: cells.get(name) for name in carried} if carried else None,
                )
            )
    return found


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(sorted(BINARY)))
def test_any_tables_come_out_as_their_rows(several: list[tuple[pa.Table, int]], kind: str) -> None:
    suffix, write = BINARY[kind]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i}{suffix}") for i in range(len(several))]
        for path, (table, rows) in zip(paths, several, strict=True):
            write(table, path, rows)
        reader = TableReader(paths, image_column="image", caption_column="caption")
        found = read(reader)
        assert repr(found) == repr(expected(several, suffix))
        types = {field.name: field.type for table, _ in several for field in table.schema}
        for field in reader.schema:
            kind_of = types[field.name]
            plain_kind = kind_of.value_type if pa.types.is_dictionary(kind_of) else kind_of
            assert field.type == plain_kind
        scanned = read(reader, scan=True)
        names = [entry[:2] if isinstance(entry, tuple) else entry for entry in found]
        assert [entry[:2] if isinstance(entry, tuple) else entry for entry in scanned] == names
        again = TableReader(paths, image_column="image", caption_column="caption")
        units = list(again.units())
        alone = [list(unit.entries(False)) for unit in reversed(units)][::-1]
        assert repr([plain(entry) for unit in alone for entry in unit]) == repr(found)


CELLS = st.sampled_from(
    ["", "1", "-7", "007", "2.5", "true", "x", 'a "q"', "a,b", "l\nm", "é", "NA"]
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_any_csv_comes_out_as_its_rows(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["path", "a", "b", "caption"], *(["p", *r] for r in rows)])
        reader = TableReader([path])
        found = read(reader)
        assert len(found) == len(rows) == len(read(reader, scan=True))
        for entry, (a, b, caption) in zip(found, rows, strict=True):
            assert isinstance(entry, tuple) and entry[4] is not None
            assert entry[3] == (caption or None)
            for value, cell in ((entry[4]["a"], a), (entry[4]["b"], b)):
                if isinstance(value, bool):
                    assert cell == str(value).lower()
                elif isinstance(value, float):
                    assert value == float(cell)
                else:
                    assert (value is None and not cell) or str(value) == cell
