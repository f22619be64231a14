"""Linking every row to its nearest ones: what a graph of near neighbours is made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_back.errors import ConfigError
from search_back.files import publish
from search_back.index.fill import Progress
from search_back.index.graph import DEGREE, FORWARD, linkable
from search_back.index.stored import StoredVectors
from search_back.kernels import library
from search_back.types import IdArray

CLUSTERS: Final = 2  # times the square root of the rows: as long to find them as to compare in them
CLUSTERS_OF_A_ROW: Final = 4  # in which it is looked for; it looks for its own neighbours in one
ROUNDS: Final = 6  # of k-means
POINTS_PER_CLUSTER: Final = 32  # trained with
BLOCK: Final = 65_536
Links = NDArray[np.int32]


def link(raw: Any, path: Path, *, progress: Progress, name: str) -> None:
    """Publish at ``path`` the links between the rows of an index.

    Each row is compared with all rows of its cluster, and with those on the clusters' borders, in
    matrix products; then it is linked back from the rows that it is near to. Raises
    ``ConfigError`` where the index cannot have a graph.
    """
    compiled, codes = library(), linkable(raw)
    if compiled is None:
        raise no_compiled_search()
    if codes is None:
        raise ConfigError(
            "an index of that kind has no graph of neighbours",
            value=type(raw).__name__,
            remedy="choose a factory that ends with Refine(SQ8) or Refine(SQfp16)",
        )
    stored, rows = StoredVectors(raw), int(codes.ntotal)
    # Every row is first laid into clusters, then compared.
    progress.start(f"{name}: linking neighbours", 2 * rows)
    advance = progress.advance
    with publish(path) as part:
        links: Any = np.lib.format.open_memmap(
            part, mode="w+", dtype=np.int32, shape=(rows, DEGREE)
        )
        links[:] = -1
        for mine, near in _nearest(stored, rows, int(raw.d), advance):
            links[mine, : near.shape[1]] = near
            advance(len(mine))
        compiled.graph_link_back(links.ctypes.data, rows, DEGREE, FORWARD)
        links.flush()


def no_compiled_search() -> ConfigError:
    return ConfigError(
        "the search in a graph of neighbours was not compiled",
        remedy="install search_back again where a C compiler is, or build without --graph",
    )


def _nearest(
    stored: StoredVectors, rows: int, dimension: int, advance: Callable[[int], None]
) -> Iterator[tuple[IdArray, Links]]:
    """Each row once, with its nearest: ``(n,)`` and ``(n, ≤ FORWARD)``, cluster by cluster."""
    import faiss

    raw: Any = faiss
    clusters = _cluster(stored, rows, dimension, advance)
    count = int(clusters.max()) + 1
    # By cluster, and in each first the rows whose own it is.
    pairs = clusters.T.ravel()
    order = np.argsort(pairs, kind="stable")
    bounds = np.searchsorted(pairs[order], np.arange(count + 1))
    for first, last in itertools.pairwise(bounds):
        members = order[first:last]
        own = int(np.searchsorted(members, rows))
        if not own:
            continue
        members = members % rows
        vectors = stored.take(members)
        wanted = min(FORWARD + 1, len(members))
        found: IdArray = raw.knn(vectors[:own], vectors, wanted, metric=raw.METRIC_INNER_PRODUCT)[1]
        yield members[:own], _others(members[found], members[:own])


def _cluster(
    stored: StoredVectors, rows: int, dimension: int, advance: Callable[[int], None]
) -> Links:
    """The clusters nearest to each row, nearest first: ``(rows, ≤ CLUSTERS_OF_A_ROW)``."""
    import faiss

    raw: Any = faiss
    count = max(1, min(CLUSTERS * math.isqrt(rows), rows // (FORWARD + 1)))
    sample = np.linspace(0, rows, min(rows, POINTS_PER_CLUSTER * count), endpoint=False)
    kmeans = raw.Kmeans(
        dimension,
        count,
        niter=ROUNDS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=POINTS_PER_CLUSTER,
    )
    kmeans.train(stored.take(sample.astype(np.int64)))
    of_a_row = min(CLUSTERS_OF_A_ROW, count)
    clusters = np.empty((rows, of_a_row), dtype=np.int32)
    for first in range(0, rows, BLOCK):
        ids = np.arange(first, min(rows, first + BLOCK))
        clusters[ids] = kmeans.index.search(stored.take(ids), of_a_row)[1]
        advance(len(ids))
    return clusters


def _others(near: IdArray, own: IdArray) -> Links:
    """``near`` without the row itself, or without the last where it is not among them."""
    others = near != own[:, None]
    others[others.all(axis=1), -1] = False
    # Equal vectors may come before the row itself: each row has itself once at most.
    links: Links = near[others].reshape(len(own), -1).astype(np.int32)
    return links
