"""Centres for very many inverted lists, by k-means in two levels.

Plain k-means compares every vector with every centre, a time that grows with the square of the
lists: minutes for 16,384. Here vectors are parted into regions first, each gets its share of the
centres, and in the rounds after that a vector is compared with the centres of the regions nearest
to its own. Without those rounds more vectors lie in the lists that a query needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from search_back.types import FloatArray, IdArray
from search_back.vectors import normalise

POINTS_PER_REGION: Final = 256
ROUNDS: Final = 6  # of k-means within a region
FINAL_ROUNDS: Final = 2  # across their borders
NEAR: Final = 8  # regions


def centres(
    rows: FloatArray, count: int, *, advance: Callable[[int], None] = lambda rows: None
) -> FloatArray:
    """``count`` unit centres of ``(n ≥ count, d)`` unit rows, the same for the same rows.

    ``advance`` is told how many more of the rows are done with, as the work goes on.
    """
    told = _Told(advance)
    regions = max(1, round(math.sqrt(count) / 2))
    middles = _kmeans(rows[:: max(1, len(rows) // (POINTS_PER_REGION * regions))], regions)
    region = _nearest(rows, middles)
    members = [np.flatnonzero(region == i) for i in range(regions)]
    shares = _shares(np.array([len(m) for m in members]), count)
    parts = []
    for mine, share in zip(members, shares, strict=True):
        if share:
            parts.append(_kmeans(rows[mine], share))
        told(len(mine))
    found = np.concatenate(parts)
    owner = np.repeat(np.arange(regions), shares)
    for _ in range(FINAL_ROUNDS):
        found = _moved(rows, members, found, owner, told)
    return found


class _Told:
    """Adds up rows over all passes, and tells what share of one that is."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._passed = self._told = 0

    def __call__(self, rows: int) -> None:
        self._passed += rows
        done = self._passed // (1 + FINAL_ROUNDS)
        self._advance(done - self._told)
        self._told = done


def _shares(sizes: IdArray, count: int) -> IdArray:
    """``count`` in parts by size, none larger than its size."""
    exact = sizes * (count / sizes.sum())
    shares: IdArray = np.minimum(np.floor(exact).astype(np.int64), sizes)
    while shares.sum() < count:
        missing = np.where(shares < sizes, exact - shares, -np.inf)
        most = np.argsort(-missing, kind="stable")[: count - shares.sum()]
        shares[most[np.isfinite(missing[most])]] += 1
    return shares


def _kmeans(rows: FloatArray, count: int) -> FloatArray:
    import faiss

    kmeans = faiss.Kmeans(
        rows.shape[1],
        count,
        niter=ROUNDS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=max(1, len(rows)),
    )
    kmeans.train(np.ascontiguousarray(rows))
    found = kmeans.centroids
    assert found is not None
    return found


def _moved(
    rows: FloatArray, members: list[IdArray], centres: FloatArray, owner: IdArray, told: _Told
) -> FloatArray:
    """Each centre in the middle of the rows that it is the nearest of, among near regions."""
    sums = np.zeros_like(centres)
    middles = np.zeros((len(members), centres.shape[1]), dtype=np.float32)
    np.add.at(middles, owner, centres)
    middles = normalise(middles)
    for mine, near in zip(members, np.argsort(-(middles @ middles.T), axis=1), strict=True):
        if len(mine):
            candidates = np.flatnonzero(np.isin(owner, near[:NEAR]))
            own = rows[mine]
            nearest = _nearest(own, centres[candidates])
            order = np.argsort(nearest, kind="stable")
            starts = np.flatnonzero(np.diff(nearest[order], prepend=-1))
            sums[candidates[nearest[order][starts]]] += np.add.reduceat(own[order], starts)
        told(len(mine))
    empty = ~sums.any(axis=1)
    sums[empty] = centres[empty]
    return normalise(sums)


def _nearest(rows: FloatArray, centres: FloatArray) -> IdArray:
    import faiss

    index = faiss.IndexFlatIP(centres.shape[1])
    index.add(centres)
    found: IdArray = index.search(np.ascontiguousarray(rows), 1)[1][:, 0]
    return found
