from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.inference.columns import NULL, ColumnShapes, arrow_array, merge, shape_of


def stored(values: list[Any]) -> tuple[str, list[Any]]:
    shape = NULL
    for value in values:
        shape = merge(shape, shape_of(value))
    array = arrow_array(values, shape)
    return str(array.type), array.to_pylist()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, -3], "int64"),
        ([1, 2.5, None], "double"),
        ([True, None], "bool"),
        (["a", "é", None], "string"),
        ([None, None], "string"),
        ([2**63 - 1, 1], "int64"),
        ([["a", "b"], [], None], "list<item: string>"),
        ([["a", None]], "list<item: string>"),
        ([[1], [2.5]], "list<item: double>"),
        ([{"b": 1, "a": "x"}, {"a": "y", "b": None}], "struct<a: string, b: int64>"),
    ],
)
def test_a_column_of_one_type_keeps_it(values: list[Any], kind: str) -> None:
    found, back = stored(values)
    assert (found.replace("element", "item"), back) == (kind, values)


@pytest.mark.parametrize(
    "values",
    [
        [1, "a"],
        [1, True],
        [2**53 + 1, 0.5],
        [0.5, 1, 2**53 + 1],
        [2**64],
        [{"a": 1}, {"b": 1}],
        [{}],
        [["a"], [1]],
        [["a"], "a"],
        [[{"a": [1, "x"]}], None],
    ],
)
def test_a_column_that_would_lose_something_is_json(values: list[Any]) -> None:
    kind, back = stored(values)
    assert kind == "string"
    assert [None if text is None else json.loads(text) for text in back] == values


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=4,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=4))
def test_any_json_survives(values: list[Any]) -> None:
    kind, back = stored(values)
    if kind == "string":
        back = [v if v is None or v == w else json.loads(v) for v, w in zip(back, values)]  # noqa: B905
    assert back == values


@settings(max_examples=50, deadline=None)
@given(st.lists(JSON, min_size=3, max_size=3))
def test_the_order_of_rows_does_not_change_the_type(values: list[Any]) -> None:
    one, two, three = map(shape_of, values)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, two) == merge(two, one)


def test_keys_beyond_the_maximum_are_counted() -> None:
    columns = ColumnShapes(2)
    assert columns.observe({"a": 1, "b": 2, "c": 3}) == {"a": 1, "b": 2}
    assert columns.observe({"d": 1, "a": "x"}) == {"a": "x"}
    assert list(columns.shapes()) == ["a", "b"] and columns.left_out == 2
