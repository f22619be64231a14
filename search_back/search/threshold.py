"""Results that are near enough, by similarities as exact as the index allows."""

from __future__ import annotations

import numpy as np

from search_back.interfaces import VectorIndex
from search_back.types import FloatArray, IdArray

BLOCK = 4096
_FLOAT32 = np.finfo(np.float32)


def above(similarities: FloatArray, least: float) -> int:
    """How many of ``(n,)`` falling similarities are at least ``least``: those before it."""
    # Beyond what float32 holds, nothing or everything is near enough all the same.
    held = np.float32(min(max(least, float(_FLOAT32.min)), float(_FLOAT32.max)))
    return int(np.searchsorted(-similarities, -held, side="right"))


def rescored(index: VectorIndex, vector: FloatArray, ids: IdArray) -> FloatArray:
    """Inner products of one ``(d,)`` vector with the stored vectors of ``(n,)`` ids: ``(n,)``.

    As exact as the index keeps its vectors, where its search may be coarser. Reads ``BLOCK``
    vectors at a time.
    """
    result = np.empty(len(ids), dtype=np.float32)
    for start in range(0, len(ids), BLOCK):
        block = slice(start, start + BLOCK)
        result[block] = index.reconstruct(ids[block]) @ vector
    return result


def falling(similarities: FloatArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
    """Both sorted by falling similarity, ties in the order of ids."""
    order = np.lexsort((ids, -similarities))
    return similarities[order], ids[order]
