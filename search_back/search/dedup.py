"""Finding duplicates among results: by their embeddings, or by a column of their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from search_back.search.codes import codes
from search_back.search.links import TILE, Links
from search_back.types import FloatArray, IdArray

if TYPE_CHECKING:
    import pyarrow as pa

THRESHOLD = 0.94
MOST = 1 - 1e-6  # a float32 row is of unit length to 1e-7: equal ones would miss a threshold of 1


def first_of_each(embeddings: FloatArray, threshold: float = THRESHOLD) -> IdArray:
    """Positions to keep, rising: the first row of each group of near-duplicates.

    ``embeddings``: ``(n, d)`` float32 unit rows, best first. Two rows are linked where their
    cosine is at least ``threshold`` (of at most ``MOST``); a group is a connected component of
    these links, so rows may be grouped through others between them.
    """
    labels = components(embeddings, threshold)
    return np.flatnonzero(labels == np.arange(len(labels))).astype(np.int64, copy=False)


def components(embeddings: FloatArray, threshold: float) -> IdArray:
    """For each row the number of the first row of its component: ``(n,)`` int64."""
    rows = np.ascontiguousarray(embeddings, dtype=np.float32)
    links = Links(rows, min(threshold, MOST))
    if len(rows) > TILE:
        links.gather()
    if links.groups.first.any():  # else all rows are one group already
        links.find()
    return links.groups.first


def by_value(column: pa.Array | pa.ChunkedArray) -> IdArray:
    """Positions to keep, rising: the first row of each value of ``(n,)`` values, best first.

    A missing value (null or NaN) says nothing, so its row is kept. Raises ``InputError`` for a
    type whose values cannot be compared.
    """
    numbers = codes(column)
    _, first = np.unique(numbers, return_index=True)
    kept = numbers < 0
    kept[first] = True
    return np.flatnonzero(kept).astype(np.int64, copy=False)
