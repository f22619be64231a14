"""Which columns of tables are read, and how those of several are unified."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import ConfigError
from search_back.inference.items import Item, entries_of
from search_back.inference.readers.tables import TableReader
from search_back.inference.report import Failure
from tests.inference.table_files import write_arrow
from tests.inference.tables import read, records


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
