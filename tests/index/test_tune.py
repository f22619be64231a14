"""Tuning finds the cheapest settings, not the first that come to reach the recall."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import faiss
import numpy as np
import pytest

from search_back.index import tune as tuning
from search_back.index.embeddings import Vectors
from search_back.index.exact import Questions, exact_neighbours
from search_back.index.faiss_index import FaissIndex
from search_back.index.fill import Silent
from search_back.index.graph import open_graph
from search_back.index.link import link
from search_back.index.measure import Exam, Exams
from search_back.index.plan import SearchSettings
from search_back.kernels import library
from search_back.types import Modality
from search_back.vectors import normalise

D, ROWS, K = 128, 20_000, 10


@pytest.fixture(scope="module")
def index() -> FaissIndex:
    raw = faiss.index_factory(D, "IVF128,PQ64x4fsr,Refine(SQ8)", faiss.METRIC_INNER_PRODUCT)
    rows = normalise(np.random.default_rng(0).standard_normal((ROWS, D)))
    raw.train(rows)
    raw.add(rows)
    return FaissIndex(raw)


@pytest.fixture(scope="module")
def exam() -> Exam:
    rows = normalise(np.random.default_rng(0).standard_normal((ROWS, D)))
    queries = normalise(np.random.default_rng(1).standard_normal((100, D)))
    questions = Questions(queries, np.full(len(queries), -1), K)
    (truth,) = exact_neighbours(Vectors((rows,), D).blocks(), [questions])
    return Exam(questions, truth)


@pytest.mark.parametrize("recall", [0.5, 0.8, 0.95])
def test_nothing_cheaper_reaches_the_recall(index: FaissIndex, exam: Exam, recall: float) -> None:
    def settings(factor: float, breadth: int) -> SearchSettings:
        return SearchSettings(nprobe=breadth, k_factor=factor)

    target = recall + tuning.MARGIN
    plan = tuning.tune(index, {"image": Exams(exam, exam, exam)}, recall=recall, ladder=(K,))
    found = plan.at(K)
    assert exam.recall(index.with_settings(found), K) >= target
    every = (settings(f, b) for f in tuning.K_FACTORS for b in tuning._breadths(index, K))
    cheaper = [s for s in every if tuning._cost(index, s, K) < tuning._cost(index, found, K)]
    assert len(cheaper) > 5
    assert all(exam.recall(index.with_settings(s), K) < target for s in cheaper)


class Stairs:
    """An exam that is passed from so many lists on, at so many candidates per result."""

    LISTS: ClassVar = {6.0: 120, 8.0: 95, 12.0: 95, 16.0: 20}

    def recall(self, index: FaissIndex, k: int) -> float:
        settings = index.plan.at(k)
        assert settings.nprobe is not None and settings.k_factor is not None
        wanted = self.LISTS.get(settings.k_factor, 20 if settings.k_factor > 16 else 10**9)
        return 0.99 if settings.nprobe >= wanted else settings.nprobe / 1_000


def test_one_dearer_step_does_not_end_the_search(index: FaissIndex) -> None:
    exam = cast("Exam", Stairs())
    plan = tuning.tune(index, {"image": Exams(exam, exam, exam)}, recall=0.95, ladder=(K,))
    widths = [b for b in tuning._breadths(index, K) if b >= 20]
    assert plan.at(K) == SearchSettings(nprobe=widths[0], k_factor=16.0)


class Climb:
    """An exam in which each doubling of the lists gains less than the one before it."""

    def __init__(self, reached: float) -> None:
        self.reached = reached
        self.asked: list[SearchSettings] = []

    def recall(self, index: FaissIndex, k: int) -> float:
        settings = index.plan.at(k)
        assert settings.nprobe is not None
        self.asked.append(settings)
        return self.reached * (1 - 0.5 / settings.nprobe)


@pytest.mark.parametrize(("target", "reached"), [(0.94, 0.9), (0.94, 0.99), (0.2, 0.9)])
def test_what_cannot_reach_the_recall_is_given_up_early(
    index: FaissIndex, target: float, reached: float
) -> None:
    settings = [SearchSettings(nprobe=b) for b in tuning._rise(1, 1_000)]
    found, asked = [], []
    for give_up in (False, True):
        exam = Climb(reached)
        trial = tuning._Trial(index, cast("Exam", exam), K, settings)
        found.append(trial.least(target, give_up=give_up))
        asked.append(len(exam.asked))
    if reached >= target:
        assert found[0] == found[1]
        assert trial.recall(found[0]) >= target
        assert asked[0] == asked[1]
    else:
        assert found[0] > found[1]
        assert asked[0] > asked[1]


def test_the_most_candidates_may_look_everywhere(index: FaissIndex) -> None:
    exam = cast("Exam", Climb(0.9))
    plan = tuning.tune(index, {"image": Exams(exam, exam, exam)}, recall=0.95, ladder=(K,))
    chosen = plan.at(K)
    assert chosen.k_factor == tuning.K_FACTORS[-1]
    assert exam.recall(index.with_settings(chosen), K) > 0.9 - 2 * tuning.STALLED


@pytest.mark.skipif(library() is None, reason="installed without a C compiler")
def test_a_graph_is_asked_where_it_finds_as_much_for_less(
    index: FaissIndex, exam: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(index.raw, tmp_path / "image.graph", progress=Silent(), name="image")
    linked = FaissIndex(index.raw, neighbours=open_graph(tmp_path / "image.graph", index.raw))
    exams: dict[Modality, Exams] = {"image": Exams(exam, exam, exam)}
    lists = tuning.tune(index, exams, recall=0.6, ladder=(K,)).at(K, "image")
    monkeypatch.setattr(tuning, "LINKED_READ_BYTES", 0.01)
    plan = tuning.tune(linked, exams, recall=0.6, ladder=(K,))
    found = plan.at(K, "image")
    assert found.seed_nprobe is not None
    assert lists == replace(found, seed_nprobe=None, ef_search=None)
    assert exam.recall(linked.with_settings(found), K) >= 0.6 + tuning.MARGIN
    assert tuning._linked_cost(linked, exam, K, found) < tuning._cost(linked, lists, K)
    assert plan.at(ROWS, "image").seed_nprobe is None
    monkeypatch.setattr(tuning, "LINKED_READ_BYTES", 10.0**9)
    assert tuning.tune(linked, exams, recall=0.6, ladder=(K,)).at(K, "image") == lists
