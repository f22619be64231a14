"""Finding near-duplicates among results."""

from __future__ import annotations

import numpy as np

from search_back.types import FloatArray, IdArray

Links = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

THRESHOLD = 0.94
BLOCK = 512


def first_of_each(embeddings: FloatArray, threshold: float = THRESHOLD) -> IdArray:
    """Positions to keep, rising: the first row of each group of near-duplicates.

    ``embeddings``: ``(n, d)`` float32 unit rows, best first. Two rows are linked where their
    cosine is at least ``threshold``; a group is a connected component of these links, so rows may
    be grouped through others between them.
    """
    labels = components(embeddings, threshold)
    return np.flatnonzero(labels == np.arange(len(labels))).astype(np.int64)


def components(embeddings: FloatArray, threshold: float) -> IdArray:
    """For each row the number of the first row of its component: ``(n,)`` int64.

    Compares blocks of rows with all rows before them, so memory is ``BLOCK × n``; groups that
    meet in a row are merged by pointing the later one's first row to the earlier one's.
    """
    n = len(embeddings)
    parent = np.arange(n)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        linked = embeddings[start:stop] @ embeddings[:stop].T >= threshold
        linked[:, start:] &= np.tri(stop - start, dtype=bool)  # each pair once; itself always
        np.fill_diagonal(linked[:, start:], True)
        _join(parent, linked[:, :start], start)
        _join_within(parent, linked[:, start:], start)
    return _roots(parent)


def _join(parent: IdArray, linked: Links, start: int) -> None:
    """Join each row of a block with the groups of the rows before the block it is linked to."""
    n = parent.size
    rows = np.flatnonzero(linked.any(axis=1))
    if not rows.size:
        return
    roots = _roots(parent[: linked.shape[1]])
    mine = linked[rows]
    lowest = np.where(mine, roots, n).min(axis=1)
    highest = np.where(mine, roots, -1).max(axis=1)
    for row in np.flatnonzero(lowest != highest):
        _merge(parent, np.unique(roots[mine[row]]))
    parent[start + rows] = lowest


def _join_within(parent: IdArray, linked: Links, start: int) -> None:
    """Join the rows of a block among themselves."""
    for row in np.flatnonzero(linked.sum(axis=1) > 1):
        found = {_root(parent, start + int(i)) for i in np.flatnonzero(linked[row])}
        if len(found) > 1:
            _merge(parent, np.array(sorted(found)))


def _merge(parent: IdArray, roots: IdArray) -> None:
    tops = np.unique([_root(parent, int(r)) for r in roots])
    parent[tops] = tops[0]


def _root(parent: IdArray, i: int) -> int:
    while parent[i] != i:
        i = int(parent[i])
    return i


def _roots(parent: IdArray) -> IdArray:
    """Every row's root, by pointer jumping; a parent is never after its row."""
    while True:
        above = parent[parent]
        if np.array_equal(above, parent):
            return above
        parent = above
