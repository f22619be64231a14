"""Which reader an input gets, and img2dataset's output in each of its formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import BadFolder, ConfigError
from search_back.inference.items import Item, Reader, Skipped, entries_of
from search_back.inference.readers import (
    FilesReader,
    TableReader,
    WebdatasetReader,
    find_input,
)
from search_back.inference.readers.detect import from_img2dataset
from search_back.inference.settings import InferenceSettings
from tests.inference.conftest import tar_bytes, write_files

ROWS: list[dict[str, Any]] = [
    {
        "url": f"https://x/{number}.jpg",
        "caption": f"caption {number}",
        "NSFW": "UNLIKELY",
        "similarity": 0.25 + number,
        "key": f"{number:09}",
        "status": "failed_to_download" if number == 1 else "success",
        "error_message": "HTTP Error 404" if number == 1 else None,
        "width": None if number == 1 else 256,
        "height": None if number == 1 else 256,
        "exif": None if number == 1 else "{}",
        "sha256": None if number == 1 else "ab" * 32,
    }
    for number in range(3)
]
PICTURES = [b"picture 0", None, b"picture 2"]


def members(number: int) -> list[tuple[str, bytes | str]]:
    picture = PICTURES[number]
    if picture is None:
        return []
    key = ROWS[number]["key"]
    return [
        (f"{key}.jpg", picture),
        (f"{key}.txt", ROWS[number]["caption"]),
        (f"{key}.json", json.dumps(ROWS[number], indent=4)),
    ]


def write_output(folder: Path, form: str) -> Path:
    """What img2dataset leaves, of one shard."""
    table = pa.Table.from_pylist(ROWS)
    write_files(folder, {"00000_stats.json": '{"count": 3}'})
    if form == "parquet":
        table = table.append_column("jpg", pa.array(PICTURES, pa.binary()))
        captions = [None if picture is None else "written" for picture in PICTURES]
        table = table.append_column("txt", pa.array(captions))
    pq.write_table(table, folder / "00000.parquet", row_group_size=2)
    every = [member for number in range(3) for member in members(number)]
    if form == "webdataset":
        (folder / "00000.tar").write_bytes(tar_bytes(every))
    elif form == "files":
        write_files(folder / "00000", dict(every))
    return folder


def opened(*inputs: Path, **changes: Any) -> Reader:
    settings = InferenceSettings(tuple(map(str, inputs)), Path("out"), **changes)
    return find_input(settings)(Path("unused"))


@pytest.mark.parametrize(
    ("form", "kind"),
    [("webdataset", WebdatasetReader), ("files", FilesReader), ("parquet", TableReader)],
)
def test_output_is_read_as_it_comes_with_its_metadata(
    tmp_path: Path, form: str, kind: type
) -> None:
    reader = opened(write_output(tmp_path / "out", form))
    assert isinstance(reader, kind)
    entries = list(entries_of(reader))
    items = [entry for entry in entries if isinstance(entry, Item)]
    assert len(items) == 2
    assert len(entries) == (3 if form == "parquet" else 2)
    for item, number in zip(items, (0, 2), strict=True):
        assert item.image is not None and item.image() == PICTURES[number]
        assert item.caption is not None and item.caption() == f"caption {number}".encode()
        assert Path(item.image_path or "").stem == f"{number:09}"
        if form == "parquet":
            assert item.record is not None
            row = item.record.batch.slice(item.record.row, 1).to_pylist()[0]
            assert row.pop("txt") == "written"
            caption = row | {"caption": f"caption {number}"}
            assert caption == ROWS[number]
        else:
            assert item.metadata is not None and json.loads(item.metadata()) == ROWS[number]
    plain = opened(tmp_path / "out", enable_metadata=False)
    first = next(entry for entry in entries_of(plain) if isinstance(entry, Item))
    assert first.metadata is None and first.record is None


def test_tars_named_one_by_one_are_known_too(tmp_path: Path) -> None:
    tar = write_output(tmp_path, "webdataset") / "00000.tar"
    assert from_img2dataset(tar)
    (first, _) = entries_of(opened(tar))
    assert isinstance(first, Item) and first.metadata is not None
    (tmp_path / "00000_stats.json").unlink()
    assert not from_img2dataset(tar) and not from_img2dataset(tmp_path)
    (first, _) = entries_of(opened(tar))
    assert isinstance(first, Item) and first.metadata is None


def test_a_scan_of_its_parquet_reads_no_pictures(tmp_path: Path) -> None:
    folder = write_output(tmp_path, "parquet")
    path = folder / "00000.parquet"
    metadata = pq.read_metadata(path)
    data = bytearray(path.read_bytes())
    for group in range(metadata.num_row_groups):
        columns = (metadata.row_group(group).column(i) for i in range(metadata.num_columns))
        column = next(c for c in columns if c.path_in_schema == "jpg")
        start = column.dictionary_page_offset or column.data_page_offset
        data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    entries = list(entries_of(opened(folder), scan=True))
    assert [type(entry) for entry in entries] == [Item, Skipped, Item]


def test_a_picture_that_was_no_success_is_not_read(tmp_path: Path) -> None:
    rows = {"jpg": [b"0", b"1"], "status": ["success", "failed"], "error_message": [None, "x"]}
    pq.write_table(pa.table(rows), tmp_path / "x.parquet")
    for scan in (False, True):
        entries = list(entries_of(opened(tmp_path), scan=scan))
        assert [type(entry) for entry in entries] == [Item, Skipped]


PARQUET = "x.parquet"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["a.tar", "b.tar"], WebdatasetReader),
        (["a.tar", PARQUET, "notes.md"], WebdatasetReader),
        (["a.tar", "a.jpg"], FilesReader),
        (["a.tar", "below/a.jpg"], FilesReader),
        (["metadata.parquet", "a.jpg"], FilesReader),
        ([PARQUET, ".hidden/a.jpg"], TableReader),
        (["data/x.parquet", "README.md", "_tmp/y.feather"], TableReader),
        (["below/a.tar"], FilesReader),
        (["_tmp/y.feather"], FilesReader),
        (["below.tar/notes.md"], FilesReader),
        ([], FilesReader),
    ],
)
def test_a_folder_tells_its_format(tmp_path: Path, files: list[str], kind: type) -> None:
    write_files(tmp_path / "in", dict.fromkeys(files, b""))
    for name in files:
        if name.endswith(".parquet"):
            pq.write_table(pa.table({"image": [b"i"]}), tmp_path / "in" / name)
    reader = opened(tmp_path / "in")
    assert type(reader) is kind
    if kind is TableReader:
        assert len(reader.inputs) == 1


def test_captions_alone_make_a_folder_of_files(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / PARQUET)
    assert isinstance(opened(tmp_path, enable_image=False), TableReader)
    write_files(tmp_path, {"a.txt": "a"})
    assert isinstance(opened(tmp_path, enable_image=False), FilesReader)


def test_tables_beside_pictures_are_given_by_name(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"a", "metadata.csv": "file_name,text\na.jpg,words\n"})
    (item,) = entries_of(opened(tmp_path / "metadata.csv"))
    assert isinstance(item, Item) and item.image is not None and item.caption is not None
    assert (item.image(), item.caption()) == (b"a", b"words")
    (same,) = entries_of(opened(tmp_path, input_format="table"))
    assert isinstance(same, Item) and same.key == item.key


def test_columns_and_fetch_reach_the_tables(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["http://x/1"], "b": ["words"]}), tmp_path / PARQUET)
    settings = InferenceSettings(
        (str(tmp_path),), tmp_path / "out", image_column="a", caption_column="b"
    )
    (item,) = entries_of(find_input(settings, fetch=str.encode)(Path("unused")))
    assert isinstance(item, Item) and item.image is not None and item.caption is not None
    assert (item.image(), item.caption()) == (b"http://x/1", b"words")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "path\n", "b.jsonl": "", "c.jpg": b"", "empty/x.md": ""})
    with pytest.raises(ConfigError, match=r"several formats.*csv, jsonl"):
        opened(tmp_path, input_format="table")
    with pytest.raises(BadFolder, match="no table in the folder"):
        opened(tmp_path / "empty", input_format="table")
    with pytest.raises(ConfigError, match="does not tell the format"):
        opened(tmp_path / "c.jpg", input_format="table")
    with pytest.raises(ConfigError, match="pictures are read from one folder"):
        opened(tmp_path / "a.csv", tmp_path / "c.jpg")
    with pytest.raises(BadFolder, match="no tar in the folder"):
        opened(tmp_path, input_format="webdataset")
