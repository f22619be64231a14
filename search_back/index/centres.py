"""Centres for very many inverted lists, by k-means in two levels.

Plain k-means compares every vector with every centre, a time that grows with the square of the
lists: minutes for 16,384. Here vectors are parted into regions first, and each gets its share of
the centres; then every vector is compared with the centres of the regions nearest to its own, and
in the rounds after that with those next to the centre that it has. With these rounds texts find in
3 of 1,000 rows of a million what took them 10 of 1,000 without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from search_back.types import FloatArray, IdArray
from search_back.vectors import normalise

POINTS_PER_REGION: Final = 256
POINTS_TO_BEGIN: Final = 24  # of a centre, within a region
ROUNDS: Final = 6  # of k-means within a region
NEAR: Final = 20  # regions
SETTLING: Final = 8  # rounds across the borders of regions
NEAR_CENTRES: Final = 32  # compared with a vector in one of these


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
            few = mine[:: max(1, len(mine) // (POINTS_TO_BEGIN * share))]
            parts.append(_kmeans(rows[few], share))
        told(len(mine))
    found = np.concatenate(parts)
    owner = np.repeat(np.arange(regions), shares)
    own = np.empty(len(rows), dtype=np.int64)
    for mine, candidates in zip(members, _candidates(found, owner, regions), strict=True):
        if len(mine):
            own[mine] = candidates[_nearest(rows[mine], found[candidates])]
        told(len(mine))
    for _ in range(SETTLING):
        found, own = _moved(rows, found, own, _neighbours(found), told)
    return found


class _Told:
    """Adds up rows over all passes, and tells what share of one that is."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._passed = self._told = 0

    def __call__(self, rows: int) -> None:
        self._passed += rows
        done = self._passed // (2 + SETTLING)
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


def _candidates(centres: FloatArray, owner: IdArray, regions: int) -> Iterator[IdArray]:
    """For each region the centres of those nearest to it that have some.

    ``owner``: the region of each centre.
    """
    middles = np.zeros((regions, centres.shape[1]), dtype=np.float32)
    np.add.at(middles, owner, centres)
    middles = normalise(middles)
    filled = np.unique(owner)
    for near in np.argsort(-(middles @ middles[filled].T), axis=1):
        yield np.flatnonzero(np.isin(owner, filled[near[:NEAR]]))


def _neighbours(centres: FloatArray) -> IdArray:
    """Of each centre the nearest, itself among them: ``(n, any)``."""
    return _nearest(centres, centres, min(NEAR_CENTRES, len(centres)))


def _moved(
    rows: FloatArray, centres: FloatArray, own: IdArray, neighbours: IdArray, told: _Told
) -> tuple[FloatArray, IdArray]:
    """Each centre in the middle of the rows that it is the nearest of; and the centre of each row.

    ``own``: the centre that a row had; only those next to it are compared.
    """
    order = np.argsort(own, kind="stable")
    bounds = np.searchsorted(own[order], np.arange(len(centres) + 1))
    sums, moved = np.zeros_like(centres), np.empty_like(own)
    for centre in range(len(centres)):
        mine = order[bounds[centre] : bounds[centre + 1]]
        if not len(mine):
            continue
        near = neighbours[centre]
        block = rows[mine]
        nearest = (block @ centres[near].T).argmax(axis=1)
        moved[mine] = near[nearest]
        belongs = nearest == np.arange(len(near))[:, None]
        sums[near] += belongs.astype(np.float32) @ block
        told(len(mine))
    empty = ~sums.any(axis=1)
    sums[empty] = centres[empty]
    return normalise(sums), moved


def _nearest(rows: FloatArray, centres: FloatArray, k: int | None = None) -> IdArray:
    """The nearest of each row, ``(n,)``; of ``k`` the nearest k, ``(n, k)``."""
    import faiss

    index = faiss.IndexFlatIP(centres.shape[1])
    index.add(centres)
    found: IdArray = index.search(np.ascontiguousarray(rows), k or 1)[1]
    return found if k else found[:, 0]
