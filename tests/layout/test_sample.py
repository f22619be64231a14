"""Samples: without repeats, the same every time, from everywhere."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from search_back.layout.sample import sample_ids


@pytest.mark.parametrize(("total", "count"), [(10, 10), (10, 11), (0, 5)])
def test_all_where_there_are_no_more(total: int, count: int) -> None:
    assert sample_ids(total, count).tolist() == list(range(total))


@pytest.mark.parametrize("total", [11, 50_000, 10**9])
def test_a_sample_rises_and_is_the_same_again(total: int) -> None:
    found = sample_ids(total, 10)
    assert found.dtype == np.int64
    assert (np.diff(found) > 0).all()
    assert found[0] >= 0
    assert found[-1] < total
    assert np.array_equal(found, sample_ids(total, 10))


def test_it_is_spread_over_the_whole() -> None:
    counts = np.bincount(sample_ids(1_000_000, 10_000) // 100_000, minlength=10)
    assert counts.sum() == 10_000
    assert abs(counts - 1_000).max() < 150  # five standard deviations


def test_it_takes_no_memory_for_what_it_leaves_out() -> None:
    tracemalloc.start()
    sample_ids(10**9, 10_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 2**20
