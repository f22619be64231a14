"""Recall and latency of an index, against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from search_back.index.embeddings import Vectors
from search_back.index.exact import Questions, exact_neighbours
from search_back.index.faiss_index import FaissIndex
from search_back.types import FloatArray, IdArray, Modality

LADDER: Final = (10, 100, 1_000, 10_000)
FEW: Final = 100  # results that every query is compared by
MANY: Final = 1_000  # results, from which on fewer queries say as much
QUERIES, QUERIES_FOR_MANY, TIMED = 256, 16, 100


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Queries of one kind with their true neighbours: ``(n, d)``, ``(n,)``, ``(n, k)``."""

    questions: Questions
    truth: IdArray

    def first(self, count: int) -> Exam:
        """Of the first queries alone."""
        asked = self.questions
        return Exam(Questions(asked.rows[:count], asked.own[:count], asked.k), self.truth[:count])

    def recall(self, index: FaissIndex, k: int, *, asked_by: Modality | None = None) -> float:
        """The share of the k true neighbours that is found among k results.

        Also where a query is stored it is asked like one that is not: its own row, linked to its
        neighbours, would lead a graph's search to all of them.
        """
        own, truth = self.questions.own, self.truth[:, :k]
        _, found = index.search(self.questions.rows, k + 1, asked_by=asked_by, hidden=own)
        hits = 0
        for mine, expected, ids in zip(own, truth, found, strict=True):
            others = ids[(ids >= 0) & (ids != mine)][:k]
            hits += int(np.isin(others, expected).sum())
        wanted = int((truth >= 0).sum())
        return hits / wanted if wanted else 1.0


@dataclass(frozen=True, slots=True)
class Exams:
    """Of one kind of query: for tuning, for tuning with many results, and for measuring.

    What an index is measured with has not been used to tune it.
    """

    tuning: Exam
    many: Exam
    held_out: Exam

    def for_results(self, k: int) -> Exam:
        """To tune k results: the more there are, the fewer queries say as much."""
        if k >= MANY:
            return self.many
        return self.tuning.first(QUERIES // 2) if k >= FEW else self.tuning


@dataclass(frozen=True, slots=True)
class Measured:
    """What an index answers at its settings, by kind of query.

    ``recall_at_…``: share of the true neighbours that is found; ``p50_ms``, ``p95_ms``: of one
    query for ten results, on one thread; ``queries``: how many of a kind.
    """

    recall_at_1: Mapping[Modality, float]
    recall_at_10: Mapping[Modality, float]
    recall_at_100: Mapping[Modality, float]
    p50_ms: Mapping[Modality, float]
    p95_ms: Mapping[Modality, float]
    queries: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_exams(
    stored: Vectors,
    queries: Mapping[Modality, Vectors],
    *,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[Modality, Exams]:
    """Draw queries of each kind and find their true neighbours in one pass over ``stored``.

    A query that is itself stored does not count as its own neighbour, since that one is always
    found.
    """
    largest = max((k for k in LADDER if k * 10 <= stored.count), default=LADDER[0])
    asked: list[Questions] = []
    for vectors in queries.values():
        for count, k, seed in (
            (QUERIES, FEW, 1),
            (QUERIES_FOR_MANY, largest, 2),
            (QUERIES, FEW, 3),
        ):
            rows, numbers = vectors.sample(count, seed=seed)
            own = numbers if vectors is stored else np.full(len(numbers), -1, dtype=np.int64)
            asked.append(Questions(rows, own, min(k, stored.count)))

    def blocks() -> Iterator[FloatArray]:
        for block in stored.blocks(32_768):
            yield block
            advance(len(block))

    truth = exact_neighbours(blocks(), asked)
    exams = [Exam(*pair) for pair in zip(asked, truth, strict=True)]
    return {kind: Exams(*exams[3 * i : 3 * i + 3]) for i, kind in enumerate(queries)}


def measure(index: FaissIndex, exams: Mapping[Modality, Exams]) -> Measured:
    """Recall and latency of an index with the plan that it has."""
    recall: dict[int, dict[Modality, float]] = {1: {}, 10: {}, 100: {}}
    p50: dict[Modality, float] = {}
    p95: dict[Modality, float] = {}
    for kind, exam in exams.items():
        for k, values in recall.items():
            values[kind] = round(exam.held_out.recall(index, k, asked_by=kind), 4)
        times = _times_ms(index, exam.held_out.questions.rows[:TIMED], kind)
        p50[kind], p95[kind] = (round(float(v), 3) for v in np.percentile(times, [50, 95]))
    queries = min((len(e.held_out.truth) for e in exams.values()), default=0)
    return Measured(recall[1], recall[10], recall[100], p50, p95, queries)


def _times_ms(index: FaissIndex, queries: FloatArray, kind: Modality) -> list[float]:
    alone = index.on_threads(1)
    times = []
    for query in queries:
        start = time.perf_counter()
        alone.search(query[None], 10, asked_by=kind)
        times.append((time.perf_counter() - start) * 1e3)
    return times
