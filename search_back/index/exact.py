"""The true nearest neighbours, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from search_back.types import FloatArray, IdArray


class Nearest:
    """Keeps the k best of what it is shown for each of n queries: ``scores``, ``ids`` ``(n, k)``.

    Rows fall in score; places that nothing filled hold -inf and -1.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.scores: FloatArray = np.full((queries, k), -np.inf, dtype=np.float32)
        self.ids: IdArray = np.full((queries, k), -1, dtype=np.int64)

    def see(self, scores: FloatArray, ids: IdArray) -> None:
        """``(n, m)`` scores of ``(m,)`` or ``(n, m)`` ids that were not seen before."""
        k = self.scores.shape[1]
        ids = np.broadcast_to(ids, scores.shape)
        if k < scores.shape[1]:
            chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores = np.take_along_axis(scores, chosen, 1)
            ids = np.take_along_axis(ids, chosen, 1)
        scores = np.concatenate([self.scores, scores], axis=1)
        ids = np.concatenate([self.ids, ids], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        self.scores = np.take_along_axis(scores, order, 1)
        self.ids = np.take_along_axis(ids, order, 1)
        self.ids[np.isneginf(self.scores)] = -1


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Queries ``(n, d)`` whose k true neighbours are wanted.

    ``own``: for each a row that does not count as its neighbour, -1 for none: ``(n,)``.
    """

    rows: FloatArray
    own: IdArray
    k: int


def exact_neighbours(blocks: Iterable[FloatArray], questions: Sequence[Questions]) -> list[IdArray]:
    """For each the true nearest rows by inner product: ``(n, k)`` int64, padded with -1.

    ``blocks``: all rows in order, ``(≤ m, d)`` each, which are passed over once.
    """
    import faiss

    best = [Nearest(len(asked.rows), asked.k) for asked in questions]
    start = 0
    for block in blocks:
        for asked, nearest in zip(questions, best, strict=True):
            # One more than wanted, since a query's own row is among them and does not count.
            k = min(asked.k + 1, len(block))
            scores, ids = faiss.knn(asked.rows, block, k, metric=faiss.METRIC_INNER_PRODUCT)
            ids += start
            scores[ids == asked.own[:, None]] = -np.inf
            nearest.see(scores, ids)
        start += len(block)
    return [nearest.ids for nearest in best]
