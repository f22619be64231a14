"""How much of an index a query must look at: measured, not guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search_back.index.embeddings import Vectors
from search_back.index.faiss_index import FaissIndex, SearchSettings
from search_back.types import FloatArray, IdArray, Modality

K = 10
TARGET_RECALL = 0.95
QUERIES = 200


@dataclass(frozen=True, slots=True)
class Measured:
    """Recall and latency of an index at the settings it will be searched with.

    ``recall_at_10``: share of the true ten neighbours found, by kind of query; ``p50_ms``: of one
    query a call, on all threads.
    """

    recall_at_10: Mapping[Modality, float]
    p50_ms: float
    queries: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def tune(
    index: FaissIndex, stored: Vectors, queries: Mapping[Modality, Vectors]
) -> tuple[SearchSettings, Measured]:
    """The least ``nprobe`` that reaches ``TARGET_RECALL`` for every kind of query.

    ``queries``: for each kind (``image``, ``text``) vectors to draw ``QUERIES`` rows from; a row
    that is itself stored is not counted as its own neighbour, since that one is always found.
    """
    drawn = {kind: v.sample(QUERIES, seed=1) for kind, v in queries.items()}
    own = {
        kind: numbers if queries[kind] is stored else None for kind, (_, numbers) in drawn.items()
    }
    truth = {
        kind: exact_neighbours(stored, rows, K, exclude=own[kind])
        for kind, (rows, _) in drawn.items()
    }
    settings = SearchSettings()
    for settings in _candidates(index):
        recall = {
            kind: _recall(index.with_settings(settings), rows, truth[kind], own[kind])
            for kind, (rows, _) in drawn.items()
        }
        if min(recall.values()) >= TARGET_RECALL:
            break
    tuned = index.with_settings(settings)
    rows = next(iter(drawn.values()))[0]
    return settings, Measured(
        recall_at_10={kind: round(value, 4) for kind, value in recall.items()},
        p50_ms=round(_median_ms(tuned, rows[:50]), 3),
        queries=len(rows),
    )


def exact_neighbours(
    stored: Vectors, queries: FloatArray, k: int, *, exclude: IdArray | None = None
) -> IdArray:
    """The true nearest rows by inner product: ``(n, k)`` int64, padded with -1.

    ``exclude``: for each query one row that does not count. One pass over the vectors.
    """
    best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    ids = np.empty((len(queries), 0), dtype=np.int64)
    start = 0
    for block in stored.blocks():
        scores = queries @ block.T
        numbers = np.arange(start, start + len(block))
        if exclude is not None:
            mine = (exclude >= start) & (exclude < start + len(block))
            scores[mine, exclude[mine] - start] = -np.inf
        best = np.concatenate([best, scores], axis=1)
        ids = np.concatenate([ids, np.broadcast_to(numbers, scores.shape)], axis=1)
        keep = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best, ids = np.take_along_axis(best, keep, 1), np.take_along_axis(ids, keep, 1)
        start += len(block)
    return np.where(np.isfinite(best), ids, -1)


def _candidates(index: FaissIndex) -> Iterator[SearchSettings]:
    ivf = index.ivf
    if ivf is None:
        yield SearchSettings()
        return
    nprobe = 1
    while nprobe < ivf.nlist:
        yield SearchSettings(nprobe=nprobe)
        nprobe *= 2
    yield SearchSettings(nprobe=int(ivf.nlist))


def _recall(index: FaissIndex, queries: FloatArray, truth: IdArray, own: IdArray | None) -> float:
    _, found = index.search(queries, K + 1)
    if own is not None:
        found = np.where(found == own[:, None], -1, found)
    hits = [
        len(set(f[f >= 0].tolist()[:K]) & set(t[t >= 0].tolist()))
        for f, t in zip(found, truth, strict=True)
    ]
    wanted = int((truth >= 0).sum())
    return sum(hits) / wanted if wanted else 1.0


def _median_ms(index: FaissIndex, queries: FloatArray) -> float:
    times = []
    for query in queries:
        start = time.perf_counter()
        index.search(query[None], K)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3 if times else 0.0
