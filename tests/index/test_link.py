"""Linking rows to their nearest: by itself, in a build, and when rows are added."""

from __future__ import annotations

import shutil
from pathlib import Path

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
from search_back.index.fill import Silent
from search_back.index.graph import (
    DEGREE,
    FORWARD,
    CodedRows,
    graph_path,
    open_graph,
)
from search_back.index.link import link
from search_back.index.score import score
from search_back.kernels import library
from search_back.vectors import normalise
from tests.index.linked import ROWS, D, K, exact, opened, vectors
from tests.index.test_build import write_embeddings

pytestmark = pytest.mark.skipif(library() is None, reason="installed without a C compiler")


def test_every_row_is_linked_to_its_nearest(linked_folder: Path) -> None:
    index = opened(linked_folder)
    links = np.load(graph_path(linked_folder / "image.index"), mmap_mode="r")
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


def test_links_lead_back(linked_folder: Path) -> None:
    links = np.load(graph_path(linked_folder / "image.index"))
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
