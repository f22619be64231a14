"""Nearest neighbours, cleaned of what an index may return beside results."""

from __future__ import annotations

from operator import gt
from typing import Final

import numpy as np

from search_back.interfaces import VectorIndex
from search_back.types import FloatArray, IdArray, IdMask, Modality

FEW: Final = 1_000  # hits that are looked at one by one


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
    if len(ids) <= FEW and _is_clean(similarities.tolist(), ids.tolist()):
        return similarities, ids
    found = ids >= 0
    similarities, ids = similarities[found], ids[found]
    order = np.lexsort((ids, -similarities))
    similarities, ids = similarities[order], ids[order]
    _, first = np.unique(ids, return_index=True)
    if len(first) != len(ids):
        first.sort()
        similarities, ids = similarities[first], ids[first]
    return similarities, ids


def _is_clean(similarities: list[float], ids: list[int]) -> bool:
    """Whether nothing ties, is padding or comes twice, as in nearly every answer.

    Plain Python: after a search has filled the caches, each function of numpy that is called takes
    several microseconds to come back into them.
    """
    return (
        all(map(gt, similarities, similarities[1:]))
        and min(ids, default=0) >= 0
        and len(set(ids)) == len(ids)
    )
