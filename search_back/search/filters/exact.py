"""The nearest among given rows, by scoring each of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from search_back.interfaces import VectorIndex
from search_back.types import FloatArray, IdArray

_BLOCK_BYTES: Final = 8 << 20


def exact_nearest(
    index: VectorIndex, vector: FloatArray, ids: IdArray, k: int
) -> tuple[FloatArray, IdArray]:
    """The k nearest of one ``(d,)`` vector among ``(n,)`` ids: similarities falling, ids.

    Both ``(≤ k,)``, no id twice, ties in the order of ids; as exact as the index keeps its
    vectors. Takes memory for some thousands of vectors, however many ids there are.
    """
    ids = np.unique(ids)
    step = max(1, _BLOCK_BYTES // (4 * index.dimension))
    best, best_ids = np.empty(0, np.float32), np.empty(0, np.int64)
    for start in range(0, len(ids) if k > 0 else 0, step):
        block = ids[start : start + step]
        # Not a matrix product, whose last bit may depend on where in the block a row lies: equal
        # vectors must tie.
        scores: FloatArray = np.einsum("ij,j->i", index.reconstruct(block), vector)
        if len(best) == k:
            better = scores > best[-1]
            scores, block = scores[better], block[better]
        best, best_ids = np.concatenate([best, scores]), np.concatenate([best_ids, block])
        order = np.lexsort((best_ids, -best))[:k]
        best, best_ids = best[order], best_ids[order]
    return best, best_ids
