"""k-means in two levels."""

from __future__ import annotations

import numpy as np
import pytest

from search_back.index.centres import _shares, centres
from search_back.types import FloatArray
from search_back.vectors import normalise

D = 16


def clustered(rows: int, clusters: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((clusters, D))
    return normalise(
        middles[rng.integers(clusters, size=rows)] + 0.2 * rng.standard_normal((rows, D))
    )


def closeness(rows: FloatArray, found: FloatArray) -> float:
    return float((rows @ found.T).max(axis=1).mean())


@pytest.mark.parametrize("count", [1, 2, 37, 256])
def test_so_many_unit_centres(count: int) -> None:
    found = centres(clustered(4_000, 50), count)
    assert found.shape == (count, D)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_rows_lie_nearer_to_them_than_to_rows_drawn_at_random() -> None:
    rows, others = clustered(8_000, 100), clustered(2_000, 100)
    drawn = rows[np.random.default_rng(1).choice(len(rows), 256, replace=False)]
    assert closeness(others, centres(rows, 256)) > closeness(others, drawn) + 0.02


def test_rounds_across_the_borders_of_regions_bring_them_nearer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, others = clustered(16_000, 400), clustered(2_000, 400)
    settled = closeness(others, centres(rows, 400))
    monkeypatch.setattr("search_back.index.centres.SETTLING", 0)
    assert settled > closeness(others, centres(rows, 400)) + 0.003


def test_every_row_is_told_to_be_done_once() -> None:
    told: list[int] = []
    centres(clustered(4_001, 50), 37, advance=told.append)
    assert sum(told) == 4_001
    assert min(told) >= 0 and len(told) > 3


def test_the_same_rows_give_the_same_centres() -> None:
    rows = clustered(3_000, 40)
    assert np.array_equal(centres(rows, 100), centres(rows, 100))


def test_rows_that_are_all_the_same_still_give_so_many() -> None:
    rows = np.repeat(clustered(1, 1), 500, axis=0)
    found = centres(rows, 100)
    assert found.shape == (100, D)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ([50, 50], 10, [5, 5]),
        ([90, 10], 10, [9, 1]),
        ([100, 1, 0], 100, [99, 1, 0]),
        ([3, 3, 3], 9, [3, 3, 3]),
        ([1, 1, 998], 30, [0, 0, 30]),
    ],
)
def test_regions_share_centres_by_size(sizes: list[int], count: int, expected: list[int]) -> None:
    assert _shares(np.array(sizes), count).tolist() == expected


def test_a_region_without_centres_of_its_own_gets_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nearly all rows are alike: they get nearly all centres, and most regions none."""
    monkeypatch.setattr("search_back.index.centres.NEAR", 1)
    rows = np.concatenate([clustered(60, 60, seed=2), np.repeat(clustered(1, 1), 20_000, axis=0)])
    found = centres(rows, 200)
    assert found.shape == (200, D)
    assert np.isfinite(found).all()
