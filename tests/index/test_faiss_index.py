"""Every kind of faiss index against brute force, mapped and in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from search_back.errors import BadFolder, ConfigError, CorruptFile, DimensionMismatch, UnknownId
from search_back.index import FaissIndex, SearchSettings, ivf_order, open_index
from search_back.types import FloatArray
from search_back.vectors import normalise

N, D = 1200, 32
# How many of the true ten a kind must find when it looks at everything: its own quantisation.
KINDS = {
    "Flat": 1.0,
    "HNSW32,Flat": 0.97,
    "HNSW32,SQ8": 0.9,
    "IVF16,Flat": 1.0,
    "IVF16,SQ8": 0.9,
    "IVF16,PQ16x8np": 0.5,
    "OPQ16_32,IVF16,PQ16x8np": 0.5,
    "PCA24,IVF16,Flat": 0.5,
    "IVF16,PQ16x4fs,RFlat": 0.9,
    "IVF16,PQ16x4fsr,Refine(SQ8)": 0.9,
    "IDMap,Flat": 1.0,
    "IDMap2,IVF16,Flat": 1.0,
}


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, D))
    return normalise(centres[rng.integers(0, 40, N)] + 0.5 * rng.standard_normal((N, D)))


def made(factory: str, vectors: FloatArray) -> Any:
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        ivf.cp.min_points_per_centroid = 1
    index.train(vectors)
    if factory.startswith("IDMap"):
        index.add_with_ids(vectors, ids_of(factory))
    else:
        index.add(vectors)
    return index


def ids_of(factory: str) -> np.ndarray[Any, Any]:
    numbers = np.arange(N, dtype=np.int64)
    return numbers[::-1] * 3 + 7 if factory.startswith("IDMap") else numbers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, vectors: FloatArray) -> Path:
    """One file a kind."""
    folder = tmp_path_factory.mktemp("kinds")
    for i, factory in enumerate(KINDS):
        faiss.write_index(made(factory, vectors), str(folder / f"{i}.index"))
    return folder


@pytest.mark.parametrize("mapped", [False, True], ids=["memory", "mapped"])
@pytest.mark.parametrize("factory", KINDS)
class TestKinds:
    @pytest.fixture
    def index(self, folder: Path, factory: str, mapped: bool) -> FaissIndex:
        path = folder / f"{list(KINDS).index(factory)}.index"
        # Refining from more candidates, and probing every list, leaves quantisation alone.
        settings = SearchSettings(nprobe=16, k_factor=20.0)
        return open_index(path, memory_mapping=mapped, settings=settings)

    def test_it_finds_what_brute_force_finds(
        self, index: FaissIndex, factory: str, vectors: FloatArray
    ) -> None:
        queries, ids = vectors[:50], ids_of(factory)
        truth = ids[np.argsort(-(queries @ vectors.T), axis=1)[:, :10]]
        scores, found = index.search(queries, 10)
        recall = np.mean([len(set(t) & set(f)) / 10 for t, f in zip(truth, found, strict=True)])
        assert recall >= KINDS[factory]
        assert (np.diff(scores, axis=1) <= 1e-6).all()

    def test_vectors_come_back_by_their_ids(
        self, index: FaissIndex, factory: str, vectors: FloatArray
    ) -> None:
        rows = np.array([5, 0, N - 1, 5])
        back = index.reconstruct(ids_of(factory)[rows])
        cosines = (normalise(back) * vectors[rows]).sum(axis=1)
        assert cosines.min() > (0.99 if KINDS[factory] > 0.85 else 0.6)

    def test_unknown_ids_are_named(self, index: FaissIndex, factory: str) -> None:
        for wrong in (-1, 10**9):
            with pytest.raises(UnknownId, match=str(wrong)):
                index.reconstruct(np.array([wrong]))

    def test_k_may_be_anything(self, index: FaissIndex, factory: str, vectors: FloatArray) -> None:
        for k in (1, N, 5 * N):
            scores, ids = index.search(vectors[:1], k)
            assert scores.shape == ids.shape == (1, min(k, N))

    def test_calls_side_by_side_do_not_change_each_other(
        self, index: FaissIndex, factory: str, vectors: FloatArray
    ) -> None:
        alone = {k: index.search(vectors[:4], k)[1].tolist() for k in (1, 7, 300)}
        with ThreadPoolExecutor(8) as pool:
            jobs = [(k, pool.submit(index.search, vectors[:4], k)) for k in (1, 7, 300) * 8]
            for k, job in jobs:
                assert job.result()[1].tolist() == alone[k]


def test_l2_distances_become_inner_products(vectors: FloatArray, tmp_path: Path) -> None:
    index = faiss.IndexFlatL2(D)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "l2.index"))
    scores, ids = open_index(tmp_path / "l2.index").search(vectors[:3], 5)
    assert scores[:, 0] == pytest.approx(1, abs=1e-5)
    assert scores[0] == pytest.approx(vectors[ids[0]] @ vectors[0], abs=1e-5)


def test_nprobe_grows_with_k(vectors: FloatArray) -> None:
    index = FaissIndex(made("IVF16,Flat", vectors), SearchSettings(nprobe=1))
    _, few = index.search(vectors[:1], 5)
    assert (few >= 0).all()
    _, all_of_them = index.search(vectors[:1], N)
    assert (all_of_them >= 0).all()


def test_an_index_folder_with_its_lists_beside(vectors: FloatArray, tmp_path: Path) -> None:
    folder = tmp_path / "image.index"
    folder.mkdir()
    index = made("IVF16,Flat", vectors)
    lists = faiss.OnDiskInvertedLists(
        index.nlist, index.code_size, str(folder / "merged_index.ivfdata")
    )
    lists.merge_from_multiple(
        (parts := faiss.InvertedListsPtrVector(), parts.push_back(index.invlists))[0].data(), 1
    )
    index.replace_invlists(lists, False)
    faiss.write_index(index, str(folder / "populated.index"))
    for mapped in (False, True):
        found = open_index(folder, memory_mapping=mapped, settings=SearchSettings(nprobe=16))
        assert found.search(vectors[:20], 1)[1][:, 0].tolist() == list(range(20))


def test_a_query_of_another_dimension_is_refused(vectors: FloatArray) -> None:
    with pytest.raises(DimensionMismatch, match="32-d"):
        FaissIndex(made("Flat", vectors)).search(vectors[:, :5], 1)


def test_files_that_are_no_index_are_named(tmp_path: Path, vectors: FloatArray) -> None:
    with pytest.raises(BadFolder, match=r"absent\.index"):
        open_index(tmp_path / "absent.index")
    whole = tmp_path / "whole.index"
    faiss.write_index(made("IVF16,Flat", vectors), str(whole))
    for name, data in {
        "empty": b"",
        "text": b"this is no index",
        "cut": whole.read_bytes()[: whole.stat().st_size // 2],
    }.items():
        path = tmp_path / f"{name}.index"
        path.write_bytes(data)
        with pytest.raises(CorruptFile, match=path.name):
            open_index(path)


def test_the_order_of_an_inverted_file_is_its_lists(vectors: FloatArray) -> None:
    raw = made("OPQ16_32,IVF16,PQ16x8np", vectors)
    order = ivf_order(FaissIndex(raw))
    assert sorted(order.tolist()) == list(range(N))
    ivf = faiss.extract_index_ivf(raw)
    transformed = raw.chain.at(0).apply(vectors)
    _, owner = ivf.quantizer.search(transformed, 1)
    assert (np.diff(owner[order, 0]) >= 0).all()


@pytest.mark.parametrize("factory", ["Flat", "HNSW32,Flat", "IDMap2,IVF16,Flat"])
def test_kinds_without_an_order_say_so(vectors: FloatArray, factory: str) -> None:
    with pytest.raises(ConfigError, match="reorder_metadata_by_ivf_index"):
        ivf_order(FaissIndex(made(factory, vectors)))
