"""Searching among the rows of a mask: what is found, how, and what it costs."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.index import FaissIndex, SearchPlan, SearchSettings
from search_back.index import lists as lists_module
from search_back.index import scan as scan_module
from search_back.index.cost import search_bytes
from search_back.index.inverted_lists import InvertedLists
from search_back.index.lists import ListsOfRows
from search_back.index.plan import Step
from search_back.types import FloatArray, IdArray, IdMask
from search_back.vectors import normalise

N, D, LISTS = 20_000, 32, 64
DEFAULT = f"IVF{LISTS},PQ16x4fsr,Refine(SQfp16)"


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((100, D))
    return normalise(centres[rng.integers(0, 100, N)] + 0.6 * rng.standard_normal((N, D)))


def made(factory: str, vectors: FloatArray, metric: int = faiss.METRIC_INNER_PRODUCT) -> Any:
    index = faiss.index_factory(vectors.shape[1], factory, metric)
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        ivf.cp.min_points_per_centroid = 1
    index.train(vectors)
    index.add(vectors)
    return index


@pytest.fixture(scope="module")
def index(vectors: FloatArray) -> FaissIndex:
    few = Step(10, SearchSettings(nprobe=8, k_factor=12.0))
    many = Step(1000, SearchSettings(nprobe=40, k_factor=6.0))
    every = Step(N, SearchSettings(nprobe=LISTS, k_factor=1.0))
    return FaissIndex(made(DEFAULT, vectors), SearchPlan({"image": (few, many, every)}))


def mask_of(kind: str, share: float, query: FloatArray, vectors: FloatArray) -> IdMask:
    """Rows at random, or those nearest to a row at random or to one unlike the query."""
    rng = np.random.default_rng(round(share * 1e6))
    count = int(share * N)
    if kind == "random":
        chosen = rng.choice(N, count, replace=False)
    else:
        anchor = rng.integers(N) if kind == "cluster" else int(np.argmin(vectors @ query))
        chosen = np.argpartition(-(vectors @ vectors[anchor]), count)[:count]
    passing = np.zeros(N, dtype=np.bool_)
    passing[chosen] = True
    return IdMask.of(passing)


@pytest.mark.parametrize("kind", ["random", "cluster", "unlike"])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("k", [10, 100])
def test_what_brute_force_finds_is_found(
    index: FaissIndex, vectors: FloatArray, kind: str, share: float, k: int
) -> None:
    recalls = []
    for query in vectors[:20]:
        mask = mask_of(kind, share, query, vectors)
        ids = mask.ids
        truth = ids[np.argsort(-(vectors[ids] @ query))[:k]]
        _, found = index.search(query[None], k, among=mask)
        assert found.shape == (1, min(k, len(ids)))
        recalls.append(np.isin(truth, found[0]).mean())
    assert np.mean(recalls) >= 0.95


def test_rows_that_no_visited_list_holds_are_found_one_by_one(
    vectors: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FaissIndex(made(f"IVF{LISTS},Flat", vectors), SearchPlan.of(SearchSettings(nprobe=1)))
    monkeypatch.setattr(lists_module, "_MOST_ROWS", 0)  # so that no list is known to be empty
    far = np.argsort(vectors @ vectors[0])[: N // 2]
    passing = np.zeros(N, dtype=np.bool_)
    passing[far] = True
    _, found = index.search(vectors[:1], 3, among=IdMask.of(passing))
    assert found[0].tolist() == far[np.argsort(-(vectors[far] @ vectors[0]))[:3]].tolist()


class TestScan:
    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scan_module, "_BLOCK_BYTES", 7 * D)
        monkeypatch.setattr(scan_module, "_BLOCKS", 3)

    @pytest.mark.parametrize("metric", [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2])
    @pytest.mark.parametrize(
        "factory",
        [
            *("Flat", "SQ8", "SQfp16", "SQ6", "PQ8x4np", "PCA16,Flat"),
            *("HNSW8,Flat", "HNSW8,SQ8", "IVF4,Flat", "IVF4,SQ8"),
            *("IVF4,PQ8x4fs,RFlat", "IVF4,PQ8x4fs,Refine(SQ8)"),
        ],
    )
    def test_it_is_as_exact_as_the_vectors_kept(
        self, vectors: FloatArray, factory: str, metric: int
    ) -> None:
        index = FaissIndex(made(factory, vectors[:500], metric))
        rng = np.random.default_rng(0)
        for count, k in ((1, 1), (6, 3), (7, 7), (8, 3), (100, 10), (500, 40)):
            places = np.sort(rng.choice(500, count, replace=False))
            scores, found = index._scan.nearest(vectors[:3], k, places)
            kept = index.reconstruct(places)
            truth = np.sort(vectors[:3] @ kept.T, axis=1)[:, ::-1][:, :k]
            assert scores == pytest.approx(truth, abs=1e-5)
            assert np.isin(found, places).all()
            rows = [dict(zip(places.tolist(), row, strict=True)) for row in vectors[:3] @ kept.T]
            own = [[row[i] for i in ids] for row, ids in zip(rows, found.tolist(), strict=True)]
            assert scores == pytest.approx(np.array(own), abs=1e-5)

    def test_more_than_there_are_is_padded(self, vectors: FloatArray) -> None:
        index = FaissIndex(made("SQ8", vectors[:500]))
        scores, found = index._scan.nearest(vectors[:2], 5, np.array([3, 9]))
        assert sorted(found[0].tolist()) == [-1, -1, -1, 3, 9]
        assert np.isneginf(scores[:, 2:]).all()


def lists_of_rows(index: Any) -> ListsOfRows:
    ivf = faiss.extract_index_ivf(index)
    return ListsOfRows(index, ivf, partial(InvertedLists.of, ivf, index))


class TestLists:
    def counts(self, index: Any, mask: IdMask) -> IdArray:
        return lists_of_rows(index)._counts_of(mask)

    @given(seed=st.integers(0, 1000), share=st.floats(0, 1))
    def test_counts_are_of_the_rows_in_each_list(self, seed: int, share: float) -> None:
        rng = np.random.default_rng(seed)
        rows = normalise(rng.standard_normal((300, 8)))
        index = made("IVF7,Flat", rows)
        mask = IdMask.of(rng.random(rng.integers(0, 400)) < share)
        _, owner = index.quantizer.search(rows, 1)
        ids = mask.ids[mask.ids < 300]
        assert self.counts(index, mask).tolist() == np.bincount(owner[ids, 0], minlength=7).tolist()

    def test_ids_given_by_a_builder_may_have_gaps(self, vectors: FloatArray) -> None:
        index = faiss.index_factory(D, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[:500])
        index.add_with_ids(vectors[:500], np.arange(500, dtype=np.int64) * 3 + 1)
        assert self.counts(index, IdMask.of(np.ones(1600, dtype=np.bool_))).sum() == 500
        assert self.counts(index, IdMask.of(np.arange(1600) % 3 == 0)).sum() == 0

    def test_counts_go_with_their_mask(self, vectors: FloatArray) -> None:
        index = made("IVF4,Flat", vectors[:500])
        lists = lists_of_rows(index)
        mask = IdMask.of(np.ones(500, dtype=np.bool_))
        assert lists._counts_of(mask) is lists._counts_of(mask)
        assert len(lists._counts) == 1
        del mask
        gc.collect()
        assert not lists._counts

    def test_rows_like_the_query_need_few_lists_and_others_many(
        self, index: FaissIndex, vectors: FloatArray
    ) -> None:
        lists, query = index._lists, vectors[:1]
        assert lists is not None
        settings = SearchSettings(nprobe=20, k_factor=4.0)
        order = np.argsort(-(vectors @ query[0]))
        probes, factors = [], []
        for chosen in (order[:2000], np.random.default_rng(0).permutation(N), order[-2000:]):
            passing = np.zeros(N, dtype=np.bool_)
            passing[chosen] = True
            widened = lists.widened(settings, query, IdMask.of(passing))
            probes.append(widened.nprobe or 0)
            factors.append(widened.k_factor)
        assert probes[0] < 10 < probes[1] < 25 < probes[2] <= LISTS
        assert factors[0] == 4.0 < (factors[2] or 0) <= 16.0

    def test_there_are_no_more_lists_than_there_are(
        self, index: FaissIndex, vectors: FloatArray
    ) -> None:
        assert index._lists is not None
        passing = np.zeros(N, dtype=np.bool_)
        passing[np.argsort(vectors @ vectors[0])[:50]] = True
        settings = SearchSettings(nprobe=LISTS)
        widened = index._lists.widened(settings, vectors[:5], IdMask.of(passing))
        assert widened == SearchSettings(nprobe=LISTS)


class TestCost:
    @pytest.mark.parametrize(
        "factory", ["Flat", "SQ8", "HNSW8,Flat", "IVF8,Flat", "PCA16,IVF8,SQ8", DEFAULT]
    )
    def test_more_is_never_cheaper(self, vectors: FloatArray, factory: str) -> None:
        index = made(factory, vectors[:4000])

        def cost(nprobe: int, ef: int, factor: float, k: int) -> float:
            settings = SearchSettings(nprobe=nprobe, ef_search=ef, k_factor=factor)
            return search_bytes(index, settings, k, share=0.1)

        least = cost(1, 16, 1.0, 10)
        assert 0 < least <= min(cost(4, 16, 1.0, 10), cost(1, 64, 1.0, 10))
        assert least <= min(cost(1, 16, 8.0, 10), cost(1, 16, 1.0, 100))

    def test_few_rows_are_compared_and_many_searched(
        self, vectors: FloatArray, index: FaissIndex
    ) -> None:
        settings = SearchSettings(nprobe=8, k_factor=4.0)

        def searched(count: int) -> bool:
            return index._is_searched(settings, 10, IdMask(np.zeros(0, np.uint8), N, count))

        answers = [searched(count) for count in range(1, N, 100)]
        assert answers == sorted(answers)
        assert answers[0] is False
        assert answers[-1] is True
