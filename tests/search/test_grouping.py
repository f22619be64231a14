"""Grouping against a plain loop."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from search_back.search.grouping import group

Values = list[str | None]


def reference(values: Values, per_group: int, k: int) -> list[list[int]]:
    """All positions of each group, in the order of their first ones."""
    found: dict[object, list[int]] = {}
    for i, value in enumerate(values):
        found.setdefault(("missing", i) if value is None else value, []).append(i)
    return list(found.values())[:k]


@given(
    values=st.lists(st.sampled_from(["a", "b", "c", "d", None])),
    per_group=st.integers(0, 4),
    k=st.integers(0, 6),
)
def test_groups_are_those_of_a_loop(values: Values, per_group: int, k: int) -> None:
    expected = reference(values, per_group, k)
    found = group(pa.array(values, pa.string()), per_group=per_group, k=k)
    assert found.positions.tolist() == [i for rows in expected for i in rows[:per_group]]
    assert found.numbers.tolist() == [
        number for number, rows in enumerate(expected) for _ in rows[:per_group]
    ]
    assert found.totals.tolist() == [len(rows) for rows in expected]
    assert len(found) == len(expected)


def test_missing_values_do_not_belong_together() -> None:
    values = pa.array([float("nan"), 2.0, None, 2.0, float("nan")])
    found = group(values, per_group=5, k=5)
    assert found.positions.tolist() == [0, 1, 3, 2, 4]
    assert found.numbers.tolist() == [0, 1, 1, 2, 3]
    assert found.totals.tolist() == [1, 2, 1, 1]
