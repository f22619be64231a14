"""Linking every row to its nearest ones: what a graph of near neighbours is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_back.errors import ConfigError
from search_back.files import publish
from search_back.index.fill import Progress
from search_back.index.graph import (
    DEGREE,
    FORWARD,
    CodedRows,
    Links,
    NeighbourGraph,
    linkable,
)
from search_back.index.inverted_lists import InvertedLists
from search_back.index.stored import StoredVectors
from search_back.kernels import library
from search_back.types import FloatArray, IdArray

CLUSTERS: Final = 2  # times the square root of the rows: as long to find them as to compare in them
CLUSTERS_OF_A_ROW: Final = 4  # in which it is looked for; it looks for its own neighbours in one
ITERATIONS: Final = 6  # of k-means
POINTS_PER_CLUSTER: Final = 16  # trained with
# Of looking for each row in the graph that there is. Of the 20 nearest among a million, clusters
# find 0.58, one round 0.93, two 0.96.
ROUNDS: Final = 2
BLOCK: Final = 1_024  # rows
LISTS_PER_GROUP: Final = 4


def link(raw: Any, path: Path, *, progress: Progress, name: str) -> None:
    """Publish at ``path`` the links between the rows of an index.

    Each row is compared with all rows of its cluster, and with those on the clusters' borders.
    Then it is looked for in the graph of those links, from its own neighbours: what is near to one
    of them may be nearer. Last it is linked back from the rows that it is near to. Raises
    ``ConfigError`` where the index cannot have a graph.
    """
    codes = linkable(raw)
    if library() is None:
        raise no_compiled_search()
    if codes is None:
        raise ConfigError(
            "an index of that kind has no graph of neighbours",
            value=type(raw).__name__,
            remedy="choose a factory that ends with Refine(SQ8) or Refine(SQfp16)",
        )
    rows = int(codes.ntotal)
    # Every row is laid into clusters, compared, and looked for.
    progress.start(f"{name}: linking neighbours", (2 + ROUNDS) * rows)
    coded, stored = CodedRows.of(codes), StoredVectors(raw)
    centres = _centres(stored, rows, int(raw.d))
    clusters = np.empty((rows, min(CLUSTERS_OF_A_ROW, len(centres))), dtype=np.int32)
    for count in _clustered(coded, codes, centres, clusters):
        progress.advance(count)
    nearest = np.empty((rows, FORWARD), dtype=np.int32)
    for count in _compared(coded, clusters, nearest):
        progress.advance(count)
    del clusters
    links = np.empty((rows, DEGREE), dtype=np.int32)
    _link_both_ways(links, nearest)
    order = _by_lists(raw)
    for _ in range(ROUNDS):
        for count in _looked_for(NeighbourGraph(links, raw), stored, order, nearest):
            progress.advance(count)
        _link_both_ways(links, nearest)
    with publish(path) as part, part.open("wb") as file:
        np.save(file, links)


def no_compiled_search() -> ConfigError:
    return ConfigError(
        "the search in a graph of neighbours was not compiled",
        remedy="install search_back again where a C compiler is, or build without --graph",
    )


def _centres(stored: StoredVectors, rows: int, dimension: int) -> FloatArray:
    """Those of the clusters: ``(clusters, d)`` float32."""
    count = max(1, min(CLUSTERS * math.isqrt(rows), rows // (FORWARD + 1)))
    sample = np.linspace(0, rows, min(rows, POINTS_PER_CLUSTER * count), endpoint=False)
    return _kmeans(stored.take(sample.astype(np.int64)), count)[0]


def _kmeans(rows: FloatArray, count: int) -> tuple[FloatArray, IdArray]:
    """Unit centres, and the centre of each row."""
    import faiss

    raw: Any = faiss
    kmeans = raw.Kmeans(
        rows.shape[1],
        count,
        niter=ITERATIONS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
    )
    kmeans.train(rows)
    return kmeans.centroids, kmeans.index.search(rows, 1)[1][:, 0]


def _clustered(coded: CodedRows, codes: Any, centres: FloatArray, clusters: Links) -> Iterator[int]:
    """Put into ``clusters`` those nearest to each row, nearest first; how many rows are done."""
    encoded = codes.sa_encode(centres).view(coded.rows.dtype)
    among, every = CodedRows.of(codes, encoded), np.arange(len(centres))

    def find(first: int) -> int:
        own = np.arange(first, min(first + BLOCK, len(clusters)))
        clusters[own] = coded.nearest(own, among, every, clusters.shape[1])
        return len(own)

    return _on_all_threads(find, range(0, len(clusters), BLOCK))


def _compared(coded: CodedRows, clusters: Links, nearest: Links) -> Iterator[int]:
    """Put into ``nearest`` the best of the rows that have a row's own cluster among theirs."""
    rows, count = len(clusters), int(clusters.max()) + 1
    # By cluster, and in each first the rows whose own it is.
    pairs = clusters.T.ravel()
    order = np.argsort(pairs, kind="stable")
    bounds = np.searchsorted(pairs, np.arange(count + 1), sorter=order)

    def compare(cluster: int) -> int:
        members = order[bounds[cluster] : bounds[cluster + 1]]
        own = members[: np.searchsorted(members, rows)]
        nearest[own] = coded.nearest(own, coded, members % rows, FORWARD)
        return len(own)

    return _on_all_threads(compare, range(count))


def _by_lists(raw: Any) -> IdArray:
    """The rows list by list, near lists after each other: what is read for one serves the next."""
    import faiss

    ivf: Any = faiss.extract_index_ivf(raw.base_index)
    lists, count = InvertedLists.of(ivf, raw), int(ivf.nlist)
    groups = _kmeans(ivf.quantizer.reconstruct_n(0, count), max(1, count // LISTS_PER_GROUP))[1]
    return np.concatenate([lists.ids_in(i) for i in np.argsort(groups, kind="stable").tolist()])


def _looked_for(
    graph: NeighbourGraph, stored: StoredVectors, order: IdArray, nearest: Links
) -> Iterator[int]:
    """Put into ``nearest`` what a walk along the links from a row's neighbours comes to."""

    def look(first: int) -> int:
        own = order[first : first + BLOCK]
        nearest[own] = graph.search(stored.take(own), FORWARD, FORWARD, graph.links[own], own)[1]
        return len(own)

    return _on_all_threads(look, range(0, len(order), BLOCK))


def _on_all_threads(work: Callable[[int], int], items: Iterable[int]) -> Iterator[int]:
    """What ``work`` returns, in order; on as many threads as faiss would use."""
    import faiss

    threads = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(threads, initializer=partial(faiss.omp_set_num_threads, 1)) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _link_both_ways(links: Links, nearest: Links) -> None:
    compiled = library()
    assert compiled is not None
    links[:, :FORWARD] = nearest
    links[:, FORWARD:] = -1
    compiled.graph_link_back(links.ctypes.data, len(links), DEGREE, FORWARD)
