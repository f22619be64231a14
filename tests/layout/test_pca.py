"""Principal components beside numpy's SVD, and what is no picture at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search_back.layout.pca import fitted, principal
from tests.folders import unit_rows


@pytest.mark.parametrize(("n", "dimension"), [(200, 16), (16, 200), (30, 30)])
def test_coordinates_are_those_of_the_svd(n: int, dimension: int) -> None:
    rows = unit_rows(n, dimension)
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :5] * lengths[:5]
    found = principal(rows, 5)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)
    largest = found[np.abs(found).argmax(axis=0), np.arange(5)]
    assert (largest > 0).all()


def test_distances_are_kept_in_as_many_directions_as_there_are() -> None:
    rows = unit_rows(40, 6)
    found = principal(rows, 10)
    assert not found[:, 6:].any()
    between = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), between, atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_equal_rows_lie_in_one_place(n: int) -> None:
    rows = np.repeat(unit_rows(1, 300), n, axis=0)
    found = principal(rows, 2)
    assert found.shape == (n, 2)
    assert not found.any()
    assert (fitted(found) == 0.5).all()


def test_two_points_lie_at_the_ends() -> None:
    found = fitted(principal(unit_rows(2, 8), 2))
    np.testing.assert_allclose(found, [[1, 0.5], [0, 0.5]], atol=1e-6)


@given(arrays(np.float64, (7, 2), elements=st.floats(-1e3, 1e3, width=16)))
def test_points_are_fitted_in_their_aspect(points: np.ndarray) -> None:
    found = fitted(points)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    span = (points.max(axis=0) - points.min(axis=0)).max()
    if span > 0:
        assert (found.max(axis=0) - found.min(axis=0)).max() == pytest.approx(1, abs=1e-6)
        apart = (points[:, None] - points) / span
        np.testing.assert_allclose(found[:, None] - found, apart, atol=1e-5)
