from __future__ import annotations

import decimal
import math
import tempfile
from collections.abc import Sequence
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
from tests.inference.table_files import BINARY, Write, binary
from tests.inference.tables import plain, read


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
