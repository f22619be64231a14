"""Groups against a graph search."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_back.search.disjoint import DisjointSets

Batches = list[list[tuple[int, int]]]
ROWS = 25


def reference(batches: Batches) -> list[int]:
    labels = list(range(ROWS))
    for a, b in (pair for batch in batches for pair in batch):
        low, high = sorted((labels[a], labels[b]))
        labels = [low if label == high else label for label in labels]
    return labels


row = st.integers(0, ROWS - 1)


@given(st.lists(st.lists(st.tuples(row, row), max_size=30), max_size=4))
def test_rows_bear_the_first_row_of_their_group(batches: Batches) -> None:
    groups = DisjointSets(ROWS)
    for batch in batches:
        pairs = np.array(batch, dtype=np.int64).reshape(-1, 2)
        groups.join(pairs[:, 0], pairs[:, 1])
    assert groups.first.tolist() == reference(batches)


def test_a_long_chain_given_backwards_is_one_group() -> None:
    groups = DisjointSets(1000)
    rows = np.arange(999, 0, -1)
    groups.join(rows, rows - 1)
    assert not groups.first.any()
