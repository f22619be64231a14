"""Bounds in few dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.search.shadows import basis, shadows
from search_back.vectors import normalise


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(8, 60),
    width=st.integers(1, 8),
    flat=st.sampled_from([0.0, 1e-4, 0.3, 1.0]),
)
def test_a_shadow_is_never_below_the_inner_product(
    seed: int, n: int, width: int, flat: float
) -> None:
    rng = np.random.default_rng(seed)
    scale = np.where(np.arange(20) < 4, 1, flat)
    rows = normalise(rng.standard_normal((n, 20)) * scale)
    some = shadows(rows, basis(rows, width))
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    assert some.shape == (n, width + 1)
    assert (some.astype(np.float64) @ some.T.astype(np.float64) >= exact - 1e-5).all()


def test_the_columns_of_a_basis_are_orthonormal_and_fall() -> None:
    rng = np.random.default_rng(0)
    rows = normalise(rng.standard_normal((500, 30)) * 0.8 ** np.arange(30))
    axes = basis(rows, 6)
    held = np.square(rows @ axes).sum(axis=0)
    assert axes.T @ axes == pytest.approx(np.eye(6), abs=1e-5)
    assert (np.diff(held) < 0).all()
    best = np.linalg.eigvalsh(rows.T @ rows)[::-1][:6].sum()
    assert held.sum() > 0.95 * best


def test_rows_within_the_basis_are_bounded_tightly() -> None:
    rows = np.eye(8, dtype=np.float32)[[0, 1, 1]]
    some = shadows(rows, np.eye(8, dtype=np.float32)[:, :3])
    assert some @ some.T == pytest.approx(rows @ rows.T, abs=1e-4)
