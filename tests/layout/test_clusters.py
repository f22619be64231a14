"""Clusters: what lies together is found, whatever the rows are."""

from __future__ import annotations

import numpy as np
import pytest

from search_back.layout.clusters import MOST, cluster, middle, suiting
from search_back.layout.pca import principal
from search_back.vectors import normalise
from tests.folders import unit_rows


def test_groups_are_found_and_the_largest_is_first() -> None:
    sizes = [5, 30, 12]
    truth = np.repeat(np.arange(3), sizes)
    rows = normalise(unit_rows(3, 24, seed=3)[truth] + 0.1 * unit_rows(len(truth), 24))
    labels = cluster(principal(rows, 50), 3)
    assert [set(labels[truth == group]) for group in (1, 2, 0)] == [{0}, {1}, {2}]
    assert np.array_equal(labels, cluster(principal(rows, 50), 3))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_there_are_no_more_clusters_than_rows(n: int) -> None:
    labels = cluster(principal(unit_rows(n, 8), 4), 9)
    assert sorted(labels) == list(range(n))


def test_equal_rows_are_one_cluster() -> None:
    assert set(cluster(principal(np.repeat(unit_rows(1, 8), 20, axis=0), 4), 5)) == {0}


def test_how_many_suit_grows_to_a_screenful() -> None:
    counts = [suiting(n) for n in range(0, 20_000, 10)]
    assert counts == sorted(counts)
    assert (suiting(0), suiting(10), suiting(100), suiting(1_000)) == (1, 2, 5, 16)
    assert counts[-1] == MOST


def test_the_middle_is_one_of_the_points() -> None:
    points = np.array([[0, 0], [0.1, 0], [0.2, 0], [0.1, 0.1], [1, 1]], dtype=np.float32)
    assert middle(points).tolist() == [pytest.approx(0.1), 0.0]
