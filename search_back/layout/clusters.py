"""Clusters of embeddings, by k-means."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from search_back.layout.pca import Coordinates
from search_back.types import FloatArray, IdArray

MOST: Final = 24  # names that a screen has room for
ROUNDS: Final = 20
TRIES: Final = 3  # the best of them counts
SEED: Final = 1


def suiting(points: int) -> int:
    """How many clusters suit so many points: 1 for 10, 5 for 100, 16 for 1,000."""
    return min(MOST, max(1, round(math.sqrt(points) / 2)))


def cluster(rows: Coordinates, count: int) -> IdArray:
    """For each of ``(n, d)`` rows the number of its cluster, 0 being the largest: ``(n,)`` int64.

    The same for the same rows. There are ``count`` clusters, or fewer where rows are equal.
    """
    import faiss

    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    points = np.ascontiguousarray(rows, dtype=np.float32)
    faiss.omp_set_num_threads(1)
    kmeans = faiss.Kmeans(
        points.shape[1],
        min(count, len(points)),
        niter=ROUNDS,
        nredo=TRIES,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
        seed=SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    kmeans.train(points)
    labels: IdArray = kmeans.index.search(points, 1)[1][:, 0]
    return _by_size(labels)


def middle(points: FloatArray) -> FloatArray:
    """That of ``(n, 2)`` points which is nearest to their median: at their mean may be nothing."""
    away = points - np.median(points, axis=0)
    found: FloatArray = points[np.argmin((away**2).sum(axis=1))]
    return found


def _by_size(labels: IdArray) -> IdArray:
    """The labels that are used renumbered, the most frequent first."""
    _, first, inverse, counts = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    found: IdArray = rank[inverse].astype(np.int64)
    return found
