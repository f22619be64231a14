"""The graph of near neighbours: made, searched, opened, and done without."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from search_back.errors import ConfigError, CorruptFile
from search_back.files import read_json
from search_back.index import append as appending
from search_back.index import build as building
from search_back.index import graph as graphs
from search_back.index import link as linking
from search_back.index.append import append
from search_back.index.build import BuildSettings, build
from search_back.index.exact import Questions
from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.fill import Silent
from search_back.index.graph import (
    DEGREE,
    FORWARD,
    CodedRows,
    NeighbourGraph,
    graph_path,
    open_graph,
)
from search_back.index.link import link
from search_back.index.measure import Exam
from search_back.index.plan import SearchPlan, SearchSettings, Step
from search_back.index.score import score
from search_back.kernels import library
from search_back.types import FloatArray, IdArray, IdMask
from search_back.vectors import normalise
from tests.index.test_build import write_embeddings

pytestmark = pytest.mark.skipif(library() is None, reason="installed without a C compiler")

D, ROWS, K = 48, 4_000, 10
LINKED = SearchSettings(nprobe=16, ef_search=64, k_factor=4.0, seed_nprobe=4)


def vectors(seed: int, count: int = ROWS) -> FloatArray:
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(0).standard_normal((30, D))
    return normalise(middles[rng.integers(0, 30, count)] + 1.5 * rng.standard_normal((count, D)))


def made(precision: str) -> Any:
    raw = faiss.index_factory(
        D, f"IVF32,PQ{D // 2}x4fsr,Refine({precision})", faiss.METRIC_INNER_PRODUCT
    )
    raw.train(vectors(1))
    raw.add(vectors(1))
    return raw


@pytest.fixture(scope="module", params=["SQ8", "SQfp16"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with its graph."""
    path: Path = tmp_path_factory.mktemp("graph") / "image.index"
    raw = made(request.param)
    faiss.write_index(raw, str(path))
    link(raw, graph_path(path), progress=Silent(), name="image")
    return path.parent


def opened(folder: Path, settings: SearchSettings = LINKED) -> FaissIndex:
    plan = SearchPlan.of(settings)
    return open_index(folder / "image.index", memory_mapping=True, plan=plan)


def exact(index: FaissIndex, queries: FloatArray) -> FloatArray:
    """Similarities to what the index keeps of each vector."""
    similarities: FloatArray = queries @ index.reconstruct(np.arange(len(index))).T
    return similarities


def test_a_wide_search_is_exact(folder: Path) -> None:
    index, queries = opened(folder), vectors(2, 50)
    assert index.neighbours is not None
    seeds = np.tile(np.arange(0, ROWS, 10), (len(queries), 1))
    scores, ids, compared = index.neighbours.search(queries, K, ROWS, seeds)
    similarities = exact(index, queries)
    assert compared > 10 * ROWS
    assert np.allclose(scores, np.take_along_axis(similarities, ids, 1), atol=1e-5)
    assert np.allclose(scores, -np.sort(-similarities, 1)[:, :K], atol=1e-5)


def test_a_narrow_search_finds_what_many_lists_find(folder: Path) -> None:
    queries = vectors(3, 200)
    linked = opened(folder, SearchSettings(nprobe=1, ef_search=32, seed_nprobe=1))
    best = np.argsort(-exact(linked, queries), 1)[:, :K]

    def recall(index: FaissIndex) -> float:
        _, ids = index.search(queries, K)
        return float(np.mean([np.isin(a, b).mean() for a, b in zip(best, ids, strict=True)]))

    lists = opened(folder, SearchSettings(nprobe=1, k_factor=3.2))
    assert recall(linked) > 0.85
    assert recall(linked) > recall(lists) + 0.05


def test_seeds_may_be_missing_and_links_may_be_wrong(folder: Path) -> None:
    index = opened(folder)
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


def test_a_hidden_row_is_passed_by(folder: Path) -> None:
    index = opened(folder)
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


def test_what_is_stored_is_examined_like_what_is_not(folder: Path) -> None:
    index = opened(folder, SearchSettings(nprobe=1, ef_search=16, seed_nprobe=1))
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


def test_each_query_is_answered_by_itself(folder: Path) -> None:
    index, queries = opened(folder), vectors(5, 20)
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


def test_a_mask_is_searched_for_in_lists(folder: Path) -> None:
    passing = np.random.default_rng(7).random(ROWS) < 0.5
    queries = vectors(8, 20)
    _, ids = opened(folder).search(queries, K, among=IdMask.of(passing))
    assert passing[ids].all()


def test_the_plan_says_where_the_graph_is_asked(folder: Path) -> None:
    lists = SearchSettings(nprobe=32, k_factor=2.0)
    steps = (Step(10, LINKED), Step(100, LINKED), Step(1_000, lists))
    index = open_index(folder / "image.index", plan=SearchPlan({"image": steps}))
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


def test_every_row_is_linked_to_its_nearest(folder: Path) -> None:
    index = opened(folder)
    links = np.load(graph_path(folder / "image.index"), mmap_mode="r")
    assert links.shape == (ROWS, DEGREE)
    similarities = exact(index, index.reconstruct(np.arange(ROWS)))
    np.fill_diagonal(similarities, -2)
    nearest = np.argsort(-similarities, 1)[:, :FORWARD]
    found = [np.isin(a, b).mean() for a, b in zip(nearest, links, strict=True)]
    assert np.mean(found) > 0.9
    assert not (links == np.arange(ROWS)[:, None]).any()
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in links)


@pytest.mark.parametrize("precision", ["SQ8", "SQfp16"])
@pytest.mark.parametrize("dimension", [3, 64, 130])
def test_rows_are_compared_with_others(precision: str, dimension: int) -> None:
    rng = np.random.default_rng(12)
    rows = normalise(rng.standard_normal((300, dimension)))
    codes = faiss.index_factory(dimension, precision, faiss.METRIC_INNER_PRODUCT)
    codes.train(rows)
    codes.add(rows)
    coded = CodedRows.of(codes)
    members = rng.permutation(300)[:150]
    stored = codes.reconstruct_n(0, 300)
    own = np.arange(17)  # not a multiple of those that are compared together
    found = coded.nearest(own, coded, members, K)
    similarities = stored[own] @ stored[members].T
    similarities[members[None] == own[:, None]] = -2
    best = members[np.argsort(-similarities, 1)[:, :K]]
    assert np.mean([np.isin(a, b).mean() for a, b in zip(best, found, strict=True)]) > 0.97
    assert not (found == own[:, None]).any()
    few = coded.nearest(own, coded, own[:4], K)
    assert [set(row) - {-1} for row in few[:4].tolist()] == [{0, 1, 2, 3} - {i} for i in range(4)]
    assert (few[4:, 4:] == -1).all()
    # Of other rows, encoded alike, one may be a row's equal.
    others = CodedRows.of(codes, codes.sa_encode(rows[:20]).view(coded.rows.dtype))
    same = coded.nearest(own, others, np.arange(20), 1)
    assert np.array_equal(same[:, 0], own)


def test_links_lead_back(folder: Path) -> None:
    links = np.load(graph_path(folder / "image.index"))
    there = {(i, j) for i, row in enumerate(links[:, :FORWARD].tolist()) for j in row if j >= 0}
    back = {(i, j) for i, row in enumerate(links[:, FORWARD:].tolist()) for j in row if j >= 0}
    assert back
    assert {(j, i) for i, j in back} <= there
    full = {i for i, row in enumerate(links) if (row >= 0).all()}
    known = there | back
    assert all((j, i) in known or j in full for i, j in there)


def test_few_rows_have_a_graph_too(tmp_path: Path) -> None:
    raw = faiss.index_factory(D, "IVF1,PQ24x4fsr,Refine(SQ8)", faiss.METRIC_INNER_PRODUCT)
    rows = vectors(10, 200)
    raw.train(rows)
    raw.add(rows[:7])
    link(raw, tmp_path / "image.graph", progress=Silent(), name="image")
    graph = open_graph(tmp_path / "image.graph", raw)
    assert graph is not None
    _, ids, _ = graph.search(rows[:7], 7, 16, np.zeros((7, 1), dtype=np.int64))
    assert [set(row) for row in ids.tolist()] == [set(range(7))] * 7
    assert ids[:, 0].tolist() == list(range(7))


def test_equal_vectors_are_linked_once_each(tmp_path: Path) -> None:
    raw = faiss.index_factory(D, "IVF1,PQ24x4fsr,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    rows = vectors(11, 100)
    raw.train(rows)
    raw.add(np.repeat(rows[:5], 60, axis=0))
    link(raw, tmp_path / "image.graph", progress=Silent(), name="image")
    links = np.load(tmp_path / "image.graph")
    assert not (links == np.arange(300)[:, None]).any()
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in links)


@pytest.mark.parametrize(
    "factory", ["Flat", "IVF4,Flat", "HNSW16", "PQ24x4fs,Refine(SQ8)", "IVF4,PQ24x4fs,RFlat"]
)
def test_other_kinds_have_none(factory: str, tmp_path: Path) -> None:
    raw = faiss.index_factory(D, factory, faiss.METRIC_INNER_PRODUCT)
    raw.train(vectors(12, 500))
    raw.add(vectors(12, 500))
    with pytest.raises(ConfigError, match=r"Refine\(SQ8\)"):
        link(raw, tmp_path / "image.graph", progress=Silent(), name="image")
    assert list(tmp_path.iterdir()) == []


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
def test_a_damaged_graph_is_named(folder: Path, tmp_path: Path, damage: Any) -> None:
    shutil.copytree(folder, tmp_path / "index")
    path = graph_path(tmp_path / "index/image.index")
    damage(path)
    with pytest.raises(CorruptFile, match=r"image\.graph"):
        opened(tmp_path / "index")


def test_without_a_compiled_search_lists_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(graphs, "library", lambda: None)
    monkeypatch.setattr(linking, "library", lambda: None)
    index, queries = opened(folder), vectors(13, 5)
    assert index.neighbours is None
    lists = opened(folder, SearchSettings(nprobe=16, k_factor=4.0))
    assert np.array_equal(index.search(queries, K)[1], lists.search(queries, K)[1])
    with pytest.raises(ConfigError, match="not compiled"):
        link(index.raw, tmp_path / "image.graph", progress=Silent(), name="image")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of embeddings, and one of the index that was made of them."""
    folder = tmp_path_factory.mktemp("built")
    write_embeddings(folder / "embeddings", vectors(1))
    write_embeddings(folder / "more", vectors(14, 500))
    factory = f"IVF32,PQ{D // 2}x4fsr,Refine(SQ8)"
    build(BuildSettings(folder / "embeddings", folder / "index", factory=factory, graph=True))
    return folder


def test_a_build_tells_of_its_graph(built: Path) -> None:
    manifest = read_json(built / "index/index.json")
    about = manifest["indices"]["image"]
    files = [built / "index/image.index", built / "index/image.graph"]
    assert about["graph"] == "image.graph"
    assert about["bytes"] == sum(file.stat().st_size for file in files)
    assert set(manifest["seals"]) == {"image.index", "image.graph"}
    assert {"image.index", "image.graph"} < set(manifest["checksums"])
    assert about["measured"]["recall_at_10"]["image"] >= 0.94
    told = score(built / "index", check=True)
    assert told.indices["image"]["graph"] == "image.graph"


def test_a_flipped_bit_of_a_graph_is_seen(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "index", tmp_path / "index")
    path = tmp_path / "index/image.graph"
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)
    with pytest.raises(CorruptFile, match=r"image\.graph"):
        score(tmp_path / "index")


def test_rows_that_are_added_are_linked(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "built")
    folder = tmp_path / "built"
    append(BuildSettings(folder / "more", folder / "index"))
    index = opened(folder / "index")
    assert len(index) == ROWS + 500
    added = vectors(14, 500)
    assert index.compared(added, K) > 0
    assert (index.search(added, K)[1][:, 0] == np.arange(ROWS, ROWS + 500)).mean() > 0.97


def test_rows_are_added_without_a_graph_where_none_can_be_made(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(built, tmp_path / "built")
    folder = tmp_path / "built"
    for module in (graphs, linking, appending, building):
        monkeypatch.setattr(module, "library", lambda: None)
    report = append(BuildSettings(folder / "more", folder / "index"))
    assert any("without its graph" in note for note in report.notes)
    assert report.manifest["indices"]["image"]["graph"] is None
    assert not (folder / "index/image.graph").exists()
    assert len(opened(folder / "index")) == ROWS + 500
    with pytest.raises(ConfigError, match="not compiled"):
        build(BuildSettings(folder / "more", folder / "other", graph=True))


@pytest.mark.parametrize("lists", [1, 4, 32])
def test_few_lists_and_many_lead_to_the_nearest(folder: Path, lists: int) -> None:
    index = opened(folder, replace(LINKED, seed_nprobe=lists))
    queries = vectors(8, 60)
    expected = np.argsort(-exact(index, queries), axis=1)[:, :K]
    found = index.search(queries, K)[1]
    shares = [np.isin(a, b).mean() for a, b in zip(expected, found, strict=True)]
    assert np.mean(shares) > 0.9
    assert index.compared(queries, K) > 0
