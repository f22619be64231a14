"""The graph of near neighbours: searched, opened, and done without."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from search_back.errors import ConfigError, CorruptFile
from search_back.index import graph as graphs
from search_back.index import link as linking
from search_back.index.exact import Questions
from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.fill import Silent
from search_back.index.graph import (
    DEGREE,
    NeighbourGraph,
    graph_path,
    open_graph,
)
from search_back.index.link import link
from search_back.index.measure import Exam
from search_back.index.plan import SearchPlan, SearchSettings, Step
from search_back.kernels import library
from search_back.types import FloatArray, IdArray, IdMask
from search_back.vectors import normalise
from tests.index.linked import LINKED, ROWS, D, K, exact, opened, vectors

pytestmark = pytest.mark.skipif(library() is None, reason="installed without a C compiler")


def test_a_wide_search_is_exact(linked_folder: Path) -> None:
    index, queries = opened(linked_folder), vectors(2, 50)
    assert index.neighbours is not None
    seeds = np.tile(np.arange(0, ROWS, 10), (len(queries), 1))
    scores, ids, compared = index.neighbours.search(queries, K, ROWS, seeds)
    similarities = exact(index, queries)
    assert compared > 10 * ROWS
    assert np.allclose(scores, np.take_along_axis(similarities, ids, 1), atol=1e-5)
    assert np.allclose(scores, -np.sort(-similarities, 1)[:, :K], atol=1e-5)


def test_a_narrow_search_finds_what_many_lists_find(linked_folder: Path) -> None:
    queries = vectors(3, 200)
    linked = opened(linked_folder, SearchSettings(nprobe=1, ef_search=32, seed_nprobe=1))
    best = np.argsort(-exact(linked, queries), 1)[:, :K]

    def recall(index: FaissIndex) -> float:
        _, ids = index.search(queries, K)
        return float(np.mean([np.isin(a, b).mean() for a, b in zip(best, ids, strict=True)]))

    lists = opened(linked_folder, SearchSettings(nprobe=1, k_factor=3.2))
    assert recall(linked) > 0.85
    assert recall(linked) > recall(lists) + 0.05


def test_seeds_may_be_missing_and_links_may_be_wrong(linked_folder: Path) -> None:
    index = opened(linked_folder)
    assert index.neighbours is not None
    queries = vectors(4, 3)
    seeds = np.array([[-1, 5, -1], [ROWS + 7, 5, 5], [-1, -1, -1]])
    scores, ids, _ = index.neighbours.search(queries, K, 64, seeds)
    assert (ids[:2] >= 0).all()
    assert ids[2].tolist() == [-1] * K
    assert scores[2].tolist() == [0] * K
    links = np.array(index.neighbours.links)
    links[:, 1] = ROWS + 1
    damaged = NeighbourGraph(links, index.raw)
    _, ids, _ = damaged.search(queries, K, 64, seeds)
    assert ids.max() < ROWS


def test_a_hidden_row_is_passed_by(linked_folder: Path) -> None:
    index = opened(linked_folder)
    assert index.neighbours is not None
    own = np.arange(0, ROWS, 100)
    queries, seeds = index.reconstruct(own), np.tile(own, (len(own), 1))
    _, ids, _ = index.neighbours.search(queries, K, 64, seeds)
    assert np.array_equal(ids[:, 0], own)
    _, ids, _ = index.neighbours.search(queries, K, 64, seeds, own)
    assert (ids != own[:, None]).all()
    # Begun at nothing else, it comes to nothing.
    _, ids, compared = index.neighbours.search(queries, K, 64, own[:, None], own)
    assert compared == 0
    assert (ids == -1).all()


def test_what_is_stored_is_examined_like_what_is_not(linked_folder: Path) -> None:
    index = opened(linked_folder, SearchSettings(nprobe=1, ef_search=16, seed_nprobe=1))
    own = np.arange(0, ROWS, 8)
    stored, fresh = index.reconstruct(own), vectors(16, len(own))

    def examined(queries: FloatArray, own: IdArray) -> float:
        similarities = exact(index, queries)
        similarities[own >= 0, own[own >= 0]] = -2
        truth = np.argsort(-similarities, 1)[:, :K]
        return Exam(Questions(queries, own, K), truth).recall(index, K)

    others = examined(fresh, np.full(len(own), -1))
    assert examined(stored, own) == pytest.approx(others, abs=0.03)
    # As rows that lead to their neighbours they would say more than is true of others.
    truth = np.argsort(-exact(index, stored), 1)[:, 1 : K + 1]
    _, ids = index.search(stored, K + 1)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(truth, ids, strict=True)]) > others + 0.03


def test_each_query_is_answered_by_itself(linked_folder: Path) -> None:
    index, queries = opened(linked_folder), vectors(5, 20)
    scores, ids = index.search(queries, K)
    for i, query in enumerate(queries):
        alone = index.search(query[None], K)
        assert np.array_equal(alone[1][0], ids[i])
        assert np.array_equal(alone[0][0], scores[i])


def test_lists_answer_where_links_do_not_lead_to_enough(tmp_path: Path) -> None:
    rows = normalise(np.random.default_rng(6).standard_normal((100, D)) + 9 * np.eye(D)[0])
    rows[-5:] *= -1  # far from all others, in a list of their own
    raw = faiss.index_factory(D, "IVF2,PQ24x4fsr,Refine(SQ8)", faiss.METRIC_INNER_PRODUCT)
    raw.train(rows)
    raw.add(rows)
    faiss.write_index(raw, str(tmp_path / "image.index"))
    np.save(tmp_path / "image.npy", np.full((100, DEGREE), -1, dtype=np.int32))
    (tmp_path / "image.npy").rename(tmp_path / "image.graph")
    index = opened(tmp_path, SearchSettings(nprobe=2, k_factor=2.0, seed_nprobe=1))
    assert index.compared(rows[-1:], K) == 5
    _, ids = index.search(rows[-1:], K)
    assert set(range(95, 100)) < set(ids[0].tolist())
    assert ids.min() >= 0


def test_a_mask_is_searched_for_in_lists(linked_folder: Path) -> None:
    passing = np.random.default_rng(7).random(ROWS) < 0.5
    queries = vectors(8, 20)
    _, ids = opened(linked_folder).search(queries, K, among=IdMask.of(passing))
    assert passing[ids].all()


def test_the_plan_says_where_the_graph_is_asked(linked_folder: Path) -> None:
    lists = SearchSettings(nprobe=32, k_factor=2.0)
    steps = (Step(10, LINKED), Step(100, LINKED), Step(1_000, lists))
    index = open_index(linked_folder / "image.index", plan=SearchPlan({"image": steps}))
    queries = vectors(9, 4)
    assert index.compared(queries, 10, asked_by="image") > 0
    assert index.compared(queries, 100, asked_by="image") > 0
    assert index.compared(queries, 101, asked_by="image") == 0
    # What it was not measured with begins with more.
    compared = index.compared(queries, 10, asked_by="image")
    assert index.compared(queries, 10, asked_by="text") == index.compared(queries, 10) > compared
    both = index.with_plan(SearchPlan({"image": steps, "text": steps}))
    assert both.compared(queries, 10) > 0
    mixed = index.with_plan(SearchPlan({"image": steps, "text": (Step(10, lists),)}))
    assert mixed.compared(queries, 10) == 0
    assert mixed.compared(queries, 10, asked_by="image") > 0


@pytest.mark.parametrize("lists", [1, 4, 32])
def test_few_lists_and_many_lead_to_the_nearest(linked_folder: Path, lists: int) -> None:
    index = opened(linked_folder, replace(LINKED, seed_nprobe=lists))
    queries = vectors(8, 60)
    expected = np.argsort(-exact(index, queries), axis=1)[:, :K]
    found = index.search(queries, K)[1]
    shares = [np.isin(a, b).mean() for a, b in zip(expected, found, strict=True)]
    assert np.mean(shares) > 0.9
    assert index.compared(queries, K) > 0


def test_halves_of_every_size_are_read(tmp_path: Path) -> None:
    raw = faiss.index_factory(16, "IVF1,PQ8x4fsr,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    sizes = 2.0 ** np.arange(-24, 10)[:, None]
    rows = (sizes * np.random.default_rng(15).uniform(-1, 1, (34, 16))).astype(np.float32)
    rows[0] = 0
    raw.train(rows)
    raw.add(rows)
    link(raw, tmp_path / "image.graph", progress=Silent(), name="image")
    graph = open_graph(tmp_path / "image.graph", raw)
    assert graph is not None
    queries = np.eye(16, dtype=np.float32)
    seeds = np.tile(np.arange(34), (16, 1))
    scores, ids, _ = graph.search(queries, 34, 34, seeds)
    halves = rows.astype(np.float16).astype(np.float32)
    assert np.array_equal(scores, np.take_along_axis(halves.T, ids, 1))
    assert (np.sort(ids, 1) == np.arange(34)).all()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_fewer_rows(path: Path) -> None:
    _save(path, np.load(path)[:-1])


def of_other_numbers(path: Path) -> None:
    _save(path, np.load(path).astype(np.int64))


def _save(path: Path, links: IdArray | np.ndarray[Any, Any]) -> None:
    with path.open("wb") as file:
        np.save(file, links)


@pytest.mark.parametrize("damage", [cut, emptied, of_fewer_rows, of_other_numbers])
def test_a_damaged_graph_is_named(linked_folder: Path, tmp_path: Path, damage: Any) -> None:
    shutil.copytree(linked_folder, tmp_path / "index")
    path = graph_path(tmp_path / "index/image.index")
    damage(path)
    with pytest.raises(CorruptFile, match=r"image\.graph"):
        opened(tmp_path / "index")


def test_without_a_compiled_search_lists_answer(
    linked_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(graphs, "library", lambda: None)
    monkeypatch.setattr(linking, "library", lambda: None)
    index, queries = opened(linked_folder), vectors(13, 5)
    assert index.neighbours is None
    lists = opened(linked_folder, SearchSettings(nprobe=16, k_factor=4.0))
    assert np.array_equal(index.search(queries, K)[1], lists.search(queries, K)[1])
    with pytest.raises(ConfigError, match="not compiled"):
        link(index.raw, tmp_path / "image.graph", progress=Silent(), name="image")
