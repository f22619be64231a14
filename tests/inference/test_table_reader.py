from __future__ import annotations

import datetime
import decimal
import gzip
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
from search_back.inference.items import Item, Skipped, entries_of
from search_back.inference.readers.table_columns import PATH_NAMES
from search_back.inference.readers.tables import TableReader
from search_back.inference.report import Failure
from tests.inference.tables import plain, read, records


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
    cells: list[list[float]] = [[2**53, 2**60 + 1], [0.5]]
    for path, values in zip(paths, cells, strict=True):
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
