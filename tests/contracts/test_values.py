"""Metadata of every type is valid JSON, from every kind of store."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from search_back.config import IndexOptions
from search_back.server.jsonable import dumps, jsonable
from tests.folders import unit_rows, write_folder

UTC = datetime.timezone.utc
COLUMNS = {
    "number": [1.5, math.nan, math.inf, -math.inf, None],
    "whole": [1, 2**53, -1, 0, None],
    "truth": [True, False, None, True, False],
    "list": [["a", "b"], [], None, [None], ["ü"]],
    "numbers": [[1.0, math.nan], [], None, [math.inf], [2.0]],
    "time": [datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), None, None, None, None],
    "day": [datetime.date(2024, 5, 6), None, None, None, None],
    "nested": [{"a": 1, "b": {"c": [math.nan]}}, None, None, None, None],
    "bytes": [b"text", b"\xff\x00", None, b"", b"x"],
    "price": [decimal.Decimal("1.20"), None, None, None, None],
}
EXPECTED = {
    "number": [1.5, None, None, None, None],
    "whole": [1, 2**53, -1, 0, None],
    "truth": [True, False, None, True, False],
    "list": [["a", "b"], [], None, [None], ["ü"]],
    "numbers": [[1.0, None], [], None, [None], [2.0]],
    "time": ["2024-05-06T07:08:09+00:00", None, None, None, None],
    "day": ["2024-05-06", None, None, None, None],
    "nested": [{"a": 1, "b": {"c": [None]}}, None, None, None, None],
    "bytes": ["text", "/wA=", None, "", "x"],
    "price": ["1.20", None, None, None, None],
}


def strict(text: str) -> Any:
    """JSON as browsers read it: Python's `NaN` and `Infinity` are none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("kind", ["parquet", "hdf5"])
def test_every_type_of_a_column(serve_app: Callable[..., Flask], tmp_path: Path, kind: str) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(5), pa.table(COLUMNS))
    options = IndexOptions(folder, columns_to_return=tuple(COLUMNS), enable_hdf5=kind == "hdf5")
    client = serve_app({"i": options}).test_client()

    text = client.post("/metadata", data='{"ids": [0, 1, 2, 3, 4]}').text
    rows = [row["metadata"] for row in strict(text)]
    assert {name: [row[name] for row in rows] for name in COLUMNS} == EXPECTED

    text = client.post("/knn-service", data=json.dumps({"embedding_input": [1.0] * 16})).text
    found = {item["id"]: item for item in strict(text)}
    assert [{name: found[id_][name] for name in COLUMNS} for id_ in range(5)] == rows


def test_columns_are_those_asked_for_and_there(
    serve_app: Callable[..., Flask], tmp_path: Path
) -> None:
    table = pa.table({"caption": ["a"], "id": [77], "similarity": ["b"], "other": [1]})
    folder = write_folder(tmp_path / "i", unit_rows(1), table)
    columns = ("caption", "id", "similarity", "missing")
    client = serve_app({"i": IndexOptions(folder, columns_to_return=columns)}).test_client()

    (item,) = client.post("/knn-service", data=json.dumps({"embedding_input": [1.0] * 16})).json
    # The names of the wire win over columns that happen to be called so.
    assert item["id"] == 0
    assert isinstance(item["similarity"], float)
    assert set(item) == {"id", "similarity", "caption"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_anything_becomes_valid_json(value: Any) -> None:
    assert strict(dumps(value).decode()) == strict(dumps(jsonable(value)).decode())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([[1.0, np.inf]]), [[1.0, None]]),
        (np.datetime64("2024-05-06T07:08:09"), "2024-05-06T07:08:09"),
        (datetime.timedelta(minutes=2), 120.0),
        (datetime.time(1, 2), "01:02:00"),
        ({1: (2, 3)}, {"1": [2, 3]}),
    ],
)
def test_values_of_numpy_and_time(value: Any, expected: Any) -> None:
    assert jsonable(value) == expected
