"""Deduplication against a plain graph search, and by a column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import InputError
from search_back.search import dedup, links
from search_back.search.dedup import by_value, components, first_of_each
from search_back.types import FloatArray
from search_back.vectors import normalise


def reference(embeddings: FloatArray, threshold: float) -> list[int]:
    """First row of each row's component, by a graph search over all pairs."""
    rows = embeddings.astype(np.float64)
    linked = rows @ rows.T >= threshold
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


def patch(patched: pytest.MonkeyPatch, **constants: Any) -> None:
    """Constants so small that a few rows take every way."""
    for name, value in constants.items():
        patched.setattr(links, name, value)
    patched.setattr(dedup, "TILE", constants.get("TILE", dedup.TILE))


def clouds(rng: np.random.Generator, n: int, d: int, *, centres: int, spread: float) -> FloatArray:
    """Rows around a few directions, all of which share one, as the answers to a query do."""
    centre = normalise(rng.standard_normal((centres, d))) + normalise(rng.standard_normal(d)[None])
    rows = centre[rng.integers(0, centres, n)] + spread * normalise(rng.standard_normal((n, d)))
    return normalise(rows)


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 80),
    d=st.sampled_from([2, 3, 8, 24]),
    centres=st.sampled_from([1, 3, 20, 1000]),
    spread=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    threshold=st.sampled_from([-0.5, 0.3, 0.6, 0.9, 0.94, 0.99]),
    tile=st.integers(1, 12),
    few=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    leaders=st.integers(1, 5),
    worth=st.integers(0, 3),
    rounding=st.sampled_from([1e-4, 0.05]),
)
def test_components_are_those_of_the_graph(
    seed: int,
    n: int,
    d: int,
    centres: int,
    spread: float,
    threshold: float,
    tile: int,
    few: float,
    leaders: int,
    worth: int,
    rounding: float,
) -> None:
    rng = np.random.default_rng(seed)
    # Two dimensions make long chains, where rows are linked through others.
    embeddings = clouds(rng, n, d, centres=centres, spread=spread)
    with pytest.MonkeyPatch.context() as patched:
        patch(
            patched,
            TILE=tile,
            PAIRS=7,
            FEW=few,
            ROUNDING=rounding,
            LEADERS=leaders,
            WORTH=worth,
            SPAN=11,
            WIDTHS=(1, 3, 7),
            SAMPLE=8,
        )
        assert components(embeddings, threshold).tolist() == reference(embeddings, threshold)


@pytest.mark.parametrize("spread", [0.2, 0.3, 0.45])
@pytest.mark.parametrize("centres", [2, 300])
def test_many_rows_are_grouped_as_by_the_graph(centres: int, spread: float) -> None:
    rng = np.random.default_rng(centres)
    embeddings = clouds(rng, 2500, 160, centres=centres, spread=spread)
    assert components(embeddings, 0.94).tolist() == reference(embeddings, 0.94)


def test_a_chain_is_one_group_whatever_its_order() -> None:
    angles = np.deg2rad(np.arange(1500) * 0.2)
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    mixed = chain[np.random.default_rng(0).permutation(1500)]
    assert first_of_each(mixed, threshold=float(np.cos(np.deg2rad(0.21)))).tolist() == [0]
    assert len(first_of_each(mixed, threshold=float(np.cos(np.deg2rad(0.19))))) == 1500


def test_a_shadow_spares_most_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    embeddings = clouds(rng, 2500, 160, centres=300, spread=0.5)
    embeddings[2000] = embeddings[100]

    def refuse(*_: object) -> None:
        raise AssertionError("all pairs of a tile are computed")

    monkeypatch.setattr(links.Links, "gather", lambda _: None)
    monkeypatch.setattr(links.Links, "_compare", refuse)
    kept = first_of_each(embeddings)
    assert 100 in kept
    assert 2000 not in kept


@pytest.mark.parametrize("n", [1, 700, 2500])
def test_equal_rows_are_one_group(n: int) -> None:
    embeddings = np.tile(normalise(np.ones((1, 16))), (n, 1))
    assert first_of_each(embeddings).tolist() == [0]
    assert first_of_each(embeddings, threshold=1).tolist() == [0]


def test_different_rows_are_all_kept() -> None:
    embeddings = np.eye(1100, dtype=np.float32)
    assert first_of_each(embeddings).tolist() == list(range(1100))


def test_a_zero_row_is_its_own_group() -> None:
    embeddings = np.zeros((3, 4), dtype=np.float32)
    assert first_of_each(embeddings).tolist() == [0, 1, 2]


def test_groups_that_meet_later_are_one() -> None:
    angles = np.deg2rad([0, 40, 20])  # the third is near both, which are far from each other
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert first_of_each(embeddings, threshold=0.93).tolist() == [0]


@given(st.lists(st.sampled_from(["a", "b", "c", "", None])))
def test_the_first_row_of_each_value_is_kept(values: list[str | None]) -> None:
    seen: set[str] = set()
    expected = []
    for i, value in enumerate(values):
        if value is None or value not in seen:
            expected.append(i)
        if value is not None:
            seen.add(value)
    assert by_value(pa.array(values, pa.string())).tolist() == expected


def test_a_column_of_lists_is_refused() -> None:
    with pytest.raises(InputError, match=r"list<item: int64>"):
        by_value(pa.array([[1], [1]]))
