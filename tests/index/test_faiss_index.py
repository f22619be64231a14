"""Every kind of faiss index against brute force, mapped and in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from search_back.errors import BadFolder, ConfigError, CorruptFile, DimensionMismatch, UnknownId
from search_back.index import FaissIndex, SearchPlan, SearchSettings, ivf_order, open_index
from search_back.index.plan import Step
from search_back.types import FloatArray, IdArray, IdMask
from search_back.vectors import normalise

N, D = 1200, 32
# How many of the true ten a kind must find when it looks at everything: its own quantisation.
KINDS = {
    "Flat": 1.0,
    "SQ8": 0.9,
    "PQ16x8np": 0.5,
    "HNSW32,Flat": 0.97,
    "HNSW32,SQ8": 0.9,
    "IVF16,Flat": 1.0,
    "IVF16,SQ8": 0.9,
    "IVF16,PQ16x8np": 0.5,
    "OPQ16_32,IVF16,PQ16x8np": 0.5,
    "PCA24,IVF16,Flat": 0.5,
    "IVF16_HNSW8,SQ8": 0.9,
    "IVF16,PQ16x4fs": 0.5,
    "IVF16,PQ16x4fsr": 0.5,
    "IVF16,PQ16x4fs,RFlat": 0.9,
    "IVF16,PQ16x4fsr,Refine(SQ8)": 0.9,
    "IVF16,PQ16x4fsr,Refine(SQfp16)": 0.9,
    "OPQ16_32,IVF16,PQ16x4fs,Refine(SQfp16)": 0.9,
    "IVF16(PQ16x4fs,RFlat),SQ8": 0.9,
    "IVF16(PQ16x4fs,RFlat),PQ16x4fsr": 0.5,
    "IVF16(PQ16x4fs,RFlat),PQ16x4fsr,Refine(SQ8)": 0.9,
    "OPQ16_32,IVF16(PQ16x4fs,RFlat),PQ16x8np": 0.5,
    "IDMap,Flat": 1.0,
    "IDMap,HNSW32,Flat": 0.97,
    "IDMap,IVF16,PQ16x4fsr,Refine(SQ8)": 0.9,
    "IDMap2,IVF16,Flat": 1.0,
    "IDMap2,OPQ16_32,IVF16,PQ16x8np": 0.5,
    "directory of IVF16,Flat": 1.0,
    "directory of IVF16,SQ8": 0.9,
    "directory of OPQ16_32,IVF16,PQ16x8np": 0.5,
}
DIRECTORY = "directory of "


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


def write(factory: str, vectors: FloatArray, path: Path) -> Path:
    """A file, or a folder with the lists beside the rest, as a distributed build leaves it."""
    index = made(factory.removeprefix(DIRECTORY), vectors)
    if factory.startswith(DIRECTORY):
        path.mkdir()
        ivf = faiss.extract_index_ivf(index)
        lists = faiss.OnDiskInvertedLists(
            ivf.nlist, ivf.code_size, str(path / "merged_index.ivfdata")
        )
        parts = faiss.InvertedListsPtrVector()
        parts.push_back(ivf.invlists)
        lists.merge_from_multiple(parts.data(), 1)
        ivf.replace_invlists(lists, False)
        path = path / "populated.index"
    faiss.write_index(index, str(path))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, vectors: FloatArray) -> Path:
    """One file, or folder, a kind."""
    folder = tmp_path_factory.mktemp("kinds")
    for i, factory in enumerate(KINDS):
        write(factory, vectors, folder / f"{i}.index")
    return folder


@pytest.mark.parametrize("mapped", [False, True], ids=["memory", "mapped"])
@pytest.mark.parametrize("factory", KINDS)
class TestKinds:
    @pytest.fixture
    def index(self, folder: Path, factory: str, mapped: bool) -> FaissIndex:
        path = folder / f"{list(KINDS).index(factory)}.index"
        # Refining from more candidates, and probing every list, leaves quantisation alone.
        settings = SearchSettings(nprobe=16, ef_search=200, k_factor=20.0)
        return open_index(path, memory_mapping=mapped, plan=SearchPlan.of(settings))

    def test_it_finds_what_brute_force_finds(
        self, index: FaissIndex, factory: str, vectors: FloatArray
    ) -> None:
        queries, ids = vectors[:50], ids_of(factory)
        truth = ids[np.argsort(-(queries @ vectors.T), axis=1)[:, :10]]
        scores, found = index.search(queries, 10)
        recall = np.mean([len(set(t) & set(f)) / 10 for t, f in zip(truth, found, strict=True)])
        assert recall >= KINDS[factory]
        assert (np.diff(scores, axis=1) <= 1e-6).all()

    @pytest.mark.parametrize("share", [0.0, 0.003, 0.05, 0.4, 1.0])
    def test_only_ids_of_the_mask_are_found(
        self, index: FaissIndex, factory: str, vectors: FloatArray, share: float
    ) -> None:
        ids, mask = ids_of(factory), mask_of(factory, share)
        queries = vectors[:50]
        among = np.flatnonzero(mask.passing[ids])
        truth = ids[among[np.argsort(-(queries @ vectors[among].T), axis=1)[:, :10]]]
        scores, found = index.search(queries, 10, among=mask)
        assert found.shape == scores.shape == (50, min(10, mask.count))
        assert np.isin(found, mask.ids).all()
        recall = [len(set(t) & set(f)) / max(1, len(t)) for t, f in zip(truth, found, strict=True)]
        assert np.mean(recall) >= (KINDS[factory] if mask.count else 0)

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
        for k in (0, 1, N, 5 * N):
            scores, ids = index.search(vectors[:1], k)
            assert scores.shape == ids.shape == (1, min(k, N))

    def test_calls_side_by_side_do_not_change_each_other(
        self, index: FaissIndex, factory: str, vectors: FloatArray
    ) -> None:
        # Steps so far apart that settings of one call would be seen in another.
        few, many = SearchSettings(1, 16, 1.0), SearchSettings(16, 400, 20.0)
        index = index.with_plan(
            SearchPlan({"image": (Step(1, few),), "text": (Step(1, few), Step(N, many))})
        )
        calls: list[dict[str, Any]] = [
            {"k": k, "asked_by": kind, "among": mask}
            for k in (1, 7, 300)
            for kind in ("image", "text", None)
            for mask in (None, mask_of(factory, 0.1))
        ]
        alone = [index.search(vectors[:4], **call)[1].tolist() for call in calls]
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(index.search, vectors[:4], **call) for call in calls * 4]
            for expected, job in zip(alone * 4, jobs, strict=True):
                assert job.result()[1].tolist() == expected


def mask_of(factory: str, share: float) -> IdMask:
    """A mask over the ids of a kind, with a share of them chosen at random."""
    ids = ids_of(factory)
    passing = np.zeros(int(ids.max()) + 1, dtype=bool)
    passing[np.random.default_rng(3).choice(ids, int(share * len(ids)), replace=False)] = True
    return IdMask.of(passing)


def test_l2_distances_become_inner_products(vectors: FloatArray, tmp_path: Path) -> None:
    index = faiss.IndexFlatL2(D)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "l2.index"))
    scores, ids = open_index(tmp_path / "l2.index").search(vectors[:3], 5)
    assert scores[:, 0] == pytest.approx(1, abs=1e-5)
    assert scores[0] == pytest.approx(vectors[ids[0]] @ vectors[0], abs=1e-5)


def test_nprobe_grows_with_k_without_a_plan(vectors: FloatArray) -> None:
    raw = made("IVF16,Flat", vectors)
    raw.nprobe = 1
    growing, fixed = FaissIndex(raw), FaissIndex(raw, SearchPlan.of(SearchSettings(nprobe=1)))

    def recall(index: FaissIndex, k: int) -> float:
        truth = np.argsort(-(vectors[:40] @ vectors.T), axis=1)[:, :k]
        found = index.search(vectors[:40], k)[1]
        return float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))

    assert recall(growing, 1) == recall(fixed, 1)
    assert recall(growing, 100) > recall(fixed, 100) + 0.05
    assert recall(growing, N) == 1


def test_a_mask_over_fewer_rows_than_the_index(vectors: FloatArray) -> None:
    index = FaissIndex(made("IVF16,Flat", vectors))
    mask = IdMask.of(np.ones(9, dtype=bool))
    assert sorted(index.search(vectors[:1], 50, among=mask)[1][0].tolist()) == list(range(9))


def test_ids_that_a_builder_gave_to_an_inverted_file(vectors: FloatArray) -> None:
    raw = faiss.index_factory(D, "IVF16,Flat", faiss.METRIC_INNER_PRODUCT)
    raw.cp.min_points_per_centroid = 1
    raw.train(vectors)
    ids: IdArray = np.arange(N, dtype=np.int64) * 5 + 10**6
    raw.add_with_ids(vectors, ids)
    index = FaissIndex(raw, SearchPlan.of(SearchSettings(nprobe=16)))
    assert (index.search(vectors[:20], 1)[1][:, 0] == ids[:20]).all()
    assert index.reconstruct(ids[[7, 3]]) == pytest.approx(vectors[[7, 3]])
    with pytest.raises(UnknownId, match="11"):
        index.reconstruct(np.array([11]))
    with pytest.raises(ConfigError, match="reorder_metadata_by_ivf_index"):
        ivf_order(index)


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


@pytest.mark.parametrize("mapped", [False, True], ids=["memory", "mapped"])
@pytest.mark.parametrize("factory", [f for f in KINDS if "IVF" in f and "IDMap" not in f])
def test_the_order_of_an_inverted_file_is_its_lists(
    folder: Path, factory: str, mapped: bool, vectors: FloatArray
) -> None:
    index = open_index(folder / f"{list(KINDS).index(factory)}.index", memory_mapping=mapped)
    order = ivf_order(index)
    assert sorted(order.tolist()) == list(range(N))
    ivf, lists = index.ivf, index.inverted_lists
    assert ivf is not None and lists is not None
    raw = faiss.downcast_index(index.raw)
    if isinstance(raw, faiss.IndexRefine):
        raw = faiss.downcast_index(raw.base_index)
    inside = raw.chain.at(0).apply(vectors) if isinstance(raw, faiss.IndexPreTransform) else None
    _, owner = ivf.quantizer.search(vectors if inside is None else inside, 1)
    assert owner[order, 0].tolist() == np.repeat(np.arange(ivf.nlist), lists.sizes).tolist()


@pytest.mark.parametrize("factory", ["Flat", "HNSW32,Flat", "IDMap2,IVF16,Flat"])
def test_kinds_without_an_order_say_so(vectors: FloatArray, factory: str) -> None:
    with pytest.raises(ConfigError, match="reorder_metadata_by_ivf_index"):
        ivf_order(FaissIndex(made(factory, vectors)))
