"""Nearest neighbours, cleaned of what an index may return beside results."""

from __future__ import annotations

import numpy as np

from search_back.interfaces import VectorIndex
from search_back.types import FloatArray, IdArray, IdMask, Modality


def nearest(
    index: VectorIndex,
    vector: FloatArray,
    k: int,
    *,
    among: IdMask | None = None,
    asked_by: Modality | None = None,
) -> tuple[FloatArray, IdArray]:
    """The k nearest of one ``(d,)`` vector: similarities falling, ids, both ``(≤ k,)``.

    No padding and no id twice, whatever the index returns; ties in the order of ids, so that an
    answer does not change from call to call.
    """
    similarities, ids = index.search(vector[None], k, among=among, asked_by=asked_by)
    similarities, ids = similarities[0], ids[0]
    found = ids >= 0
    similarities, ids = similarities[found], ids[found]
    order = np.lexsort((ids, -similarities))
    similarities, ids = similarities[order], ids[order]
    _, first = np.unique(ids, return_index=True)
    if len(first) != len(ids):
        first.sort()
        similarities, ids = similarities[first], ids[first]
    return similarities, ids
