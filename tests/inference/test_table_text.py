"""CSV and JSON lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import ConfigError
from search_back.inference.items import Skipped
from search_back.inference.readers.tables import TableReader
from search_back.inference.report import Failure
from tests.inference.tables import read, records


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
