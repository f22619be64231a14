"""Deduplication against a plain graph search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.search import dedup
from search_back.search.dedup import components, first_of_each
from search_back.types import FloatArray
from search_back.vectors import normalise


def reference(embeddings: FloatArray, threshold: float) -> list[int]:
    """First row of each row's component, by a graph search over all pairs."""
    linked = embeddings @ embeddings.T >= threshold
    labels = [-1] * len(embeddings)
    for start in range(len(embeddings)):
        if labels[start] >= 0:
            continue
        stack = [start]
        while stack:
            row = stack.pop()
            if labels[row] < 0:
                labels[row] = start
                stack += [i for i in np.flatnonzero(linked[row]) if labels[i] < 0]
    return labels


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    block=st.integers(1, 12),
    threshold=st.sampled_from([0.3, 0.6, 0.9, 0.99]),
)
def test_components_are_those_of_the_graph(seed: int, n: int, block: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    # Two dimensions make long chains, where rows are linked through others.
    embeddings = normalise(rng.standard_normal((n, 2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedup, "BLOCK", block)
        assert components(embeddings, threshold).tolist() == reference(embeddings, threshold)


@pytest.mark.parametrize("n", [1, 700, 1500])
def test_equal_rows_are_one_group(n: int) -> None:
    embeddings = np.tile(normalise(np.ones((1, 16))), (n, 1))
    assert first_of_each(embeddings).tolist() == [0]


def test_different_rows_are_all_kept() -> None:
    embeddings = np.eye(600, dtype=np.float32)
    assert first_of_each(embeddings).tolist() == list(range(600))


def test_a_zero_row_is_its_own_group() -> None:
    embeddings = np.zeros((3, 4), dtype=np.float32)
    assert first_of_each(embeddings).tolist() == [0, 1, 2]


def test_groups_that_meet_later_are_one() -> None:
    angles = np.deg2rad([0, 40, 20])  # the third is near both, which are far from each other
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert first_of_each(embeddings, threshold=0.93).tolist() == [0]
