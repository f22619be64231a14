"""Lists searched by compiled code: as faiss does, and as comparing with every row does."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.index import list_search
from search_back.index.faiss_index import FaissIndex
from search_back.index.list_search import ListSearch
from search_back.index.plan import SearchSettings
from search_back.kernels import library
from search_back.types import FloatArray, IdArray, IdMask
from search_back.vectors import normalise


def searchable() -> bool:
    compiled = library()
    return compiled is not None and bool(compiled.lists_searchable())


pytestmark = pytest.mark.skipif(not searchable(), reason="not compiled for this processor")

D, ROWS, LISTS = 40, 3_000, 24
KINDS = ["PQ20x4fsr,Refine(SQ8)", "PQ20x4fsr,Refine(SQfp16)", "PQ10x4fs,RFlat"]


def vectors(seed: int, count: int = ROWS) -> FloatArray:
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(0).standard_normal((30, D))
    return normalise(middles[rng.integers(0, 30, count)] + 1.2 * rng.standard_normal((count, D)))


def made(kind: str, rows: FloatArray | None = None, *, lists: str = f"IVF{LISTS}") -> Any:
    rows = vectors(1) if rows is None else rows
    raw = faiss.index_factory(D, f"{lists},{kind}", faiss.METRIC_INNER_PRODUCT)
    raw.train(rows)
    raw.add(rows)
    return raw


def search_of(raw: Any) -> ListSearch:
    found = ListSearch.of(raw)
    assert found is not None
    return found


@pytest.fixture(scope="module", params=KINDS)
def raw(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def best(similarities: FloatArray, k: int) -> FloatArray:
    return -np.sort(-similarities, axis=1)[:, :k]


@pytest.mark.parametrize("k", [1, 7, 60, ROWS])
def test_a_search_of_everything_is_exact(raw: Any, k: int) -> None:
    queries, kept = vectors(2, 20), raw.refine_index.reconstruct_n(0, ROWS)
    scores, ids = search_of(raw).search(queries, k, nprobe=LISTS, candidates=ROWS)
    np.testing.assert_allclose(scores, best(queries @ kept.T, k), atol=1e-5)
    np.testing.assert_allclose(scores, np.einsum("qd,qkd->qk", queries, kept[ids]), atol=1e-5)
    assert all(len(set(row)) == k for row in ids.tolist())


@pytest.mark.parametrize("nprobe", [1, 5, LISTS])
@pytest.mark.parametrize(("k", "factor"), [(1, 4), (10, 3), (100, 2)])
def test_it_finds_what_faiss_finds(raw: Any, k: int, factor: int, nprobe: int) -> None:
    queries = vectors(3, 300)
    parameters = faiss.IndexRefineSearchParameters(
        k_factor=factor, base_index_params=faiss.SearchParametersIVF(nprobe=nprobe)
    )
    _, expected = raw.search(queries, k, params=parameters)
    _, ids = search_of(raw).search(queries, k, nprobe=nprobe, candidates=k * factor)
    same = [
        len(np.intersect1d(a[a >= 0], b[b >= 0])) / max(1, (a >= 0).sum())
        for a, b in zip(expected, ids, strict=True)
    ]
    assert np.mean(same) > 0.97  # codes of one score may be told apart otherwise
    np.testing.assert_array_equal((ids >= 0).sum(axis=1), (expected >= 0).sum(axis=1))


def test_without_scoring_again_codes_give_the_scores(raw: Any) -> None:
    queries, k = vectors(4, 20), 30
    scores, ids = search_of(raw).search(queries, k, nprobe=LISTS)
    lists = faiss.downcast_index(raw.base_index)
    of_rows = _decoded(lists)
    decoded = np.stack([of_rows[i] for i in range(ROWS)])
    np.testing.assert_allclose(scores, np.einsum("qd,qkd->qk", queries, decoded[ids]), atol=0.03)
    np.testing.assert_allclose(scores, best(queries @ decoded.T, k), atol=0.03)


def _decoded(ivf: Any) -> dict[int, FloatArray]:
    """What the codes of each row stand for."""
    rows: dict[int, FloatArray] = {}
    packer = ivf.get_CodePacker()
    for number in range(ivf.nlist):
        size = ivf.invlists.list_size(number)
        codes = np.empty((size, packer.code_size), dtype=np.uint8)
        for i in range(size):
            packer.unpack_1_c(ivf.invlists.get_codes(number), i, faiss.swig_ptr(codes[i]))
        if size:
            found = ivf.pq.decode(codes)
            if ivf.by_residual:
                found += ivf.quantizer.reconstruct(number)
            rows |= dict(zip(_ids(ivf, number).tolist(), found, strict=True))
    return rows


def _ids(ivf: Any, number: int) -> IdArray:
    size = ivf.invlists.list_size(number)
    ids: IdArray = faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size)
    return ids


@given(
    seed=st.integers(0, 1_000),
    share=st.floats(0.0, 1.0),
    rows=st.integers(1, ROWS),
    k=st.integers(1, 200),
)
def test_among_the_ids_of_a_mask(seed: int, share: float, rows: int, k: int) -> None:
    raw = _half()
    passing = np.random.default_rng(seed).random(rows) < share
    queries, kept = vectors(seed, 3), raw.refine_index.reconstruct_n(0, ROWS)
    scores, ids = search_of(raw).search(
        queries, k, nprobe=LISTS, candidates=ROWS, among=IdMask.of(passing)
    )
    expected = np.where(np.append(passing, np.zeros(ROWS - rows, bool)), queries @ kept.T, -9)
    count = min(k, int(passing.sum()))
    np.testing.assert_allclose(scores[:, :count], best(expected, count), atol=1e-5)
    assert (ids[:, count:] == -1).all()
    assert passing[ids[:, :count]].all()


_KEPT: dict[str, Any] = {}


def _half() -> Any:
    if not _KEPT:
        _KEPT["raw"] = made(KINDS[1])
    return _KEPT["raw"]


def test_equal_rows_come_in_the_order_of_their_ids() -> None:
    rows = np.repeat(vectors(1, 300), 10, axis=0)
    scores, ids = search_of(made(KINDS[1], rows)).search(
        rows[::500], 10, nprobe=LISTS, candidates=ROWS
    )
    first = np.arange(0, ROWS, 500) // 10 * 10
    np.testing.assert_array_equal(ids, first[:, None] + np.arange(10))
    assert (scores.min(axis=1) == scores.max(axis=1)).all()


def test_many_results_come_in_order() -> None:
    rows = vectors(1, 20_000)
    scores, ids = search_of(made(KINDS[0], rows)).search(
        vectors(2, 2), 15_000, nprobe=LISTS, candidates=20_000
    )
    assert (np.diff(scores, axis=1) <= 0).all()
    assert len(set(ids[0].tolist())) == 15_000


def test_fewer_rows_than_wanted_are_followed_by_none() -> None:
    raw = _half()
    lists = faiss.downcast_index(raw.base_index).invlists
    size = max(lists.list_size(i) for i in range(LISTS))
    scores, ids = search_of(raw).search(vectors(5, 4), 2 * size, nprobe=1, candidates=2 * size)
    assert (ids[:, size:] == -1).all()
    assert (ids[:, 0] >= 0).all()
    assert (scores[ids < 0] == 0).all()


def test_several_threads_find_the_same() -> None:
    search, queries = search_of(_half()), vectors(6, 37)
    alone = search.search(queries, 12, nprobe=7, candidates=40)
    for threads in (0, 2, 100):
        together = search.search(queries, 12, nprobe=7, candidates=40, threads=threads)
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a, b)
    scores, ids = search.search(queries[:0], 12, nprobe=7, candidates=40, threads=0)
    assert scores.shape == ids.shape == (0, 12)


def test_two_halves_find_as_much_as_one_search(raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    search, queries = search_of(raw), vectors(6, 40)
    monkeypatch.setattr(list_search, "_HALVED_FROM", 0)
    for nprobe, k, candidates in ((LISTS, 50, ROWS), (LISTS, 50, 200), (1, 200, 400)):
        for among in (None, IdMask.of(np.arange(ROWS) % 3 == 0)):
            scores, ids = search.search(
                queries, k, nprobe=nprobe, candidates=candidates, among=among
            )
            both, halves = search.search(
                queries,
                k,
                nprobe=nprobe,
                candidates=candidates,
                among=among,
                parallel=True,
                threads=2,
            )
            if candidates == ROWS:
                np.testing.assert_array_equal(ids, halves)
                np.testing.assert_array_equal(scores, both)
            shares = [np.isin(a, b).mean() for a, b in zip(ids, halves, strict=True)]
            assert np.mean(shares) > 0.97
            assert (np.diff(both, axis=1)[halves[:, 1:] >= 0] <= 0).all()
            assert (both[halves < 0] == 0).all()


def test_a_half_that_nobody_begins_is_searched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy:
        def submit(self, _: Any, *__: Any) -> Future[Any]:
            return Future()

    search, queries = search_of(_half()), vectors(6, 5)
    expected = search.search(queries, 20, nprobe=LISTS, candidates=ROWS)[1]
    monkeypatch.setattr(list_search, "_HALVED_FROM", 0)
    monkeypatch.setattr(list_search, "_pool", Busy)
    found = search.search(queries, 20, nprobe=LISTS, candidates=ROWS, parallel=True)[1]
    np.testing.assert_array_equal(found, expected)


def test_a_query_that_is_no_number_ends() -> None:
    search = search_of(_half())
    for query in (np.full((1, D), np.nan), np.full((1, D), np.inf), np.zeros((1, D))):
        _, ids = search.search(query.astype(np.float32), 5, nprobe=LISTS, candidates=20)
        assert (ids < ROWS).all()


def test_ids_that_no_row_has_are_not_found() -> None:
    raw = made(KINDS[0])
    lists = faiss.downcast_index(raw.base_index)
    for number in range(LISTS):
        ids = _ids(lists, number)
        ids[::2] = np.where(ids[::2] % 3, 1 << 40, -7)
    _, ids = search_of(raw).search(vectors(2, 20), 50, nprobe=LISTS, candidates=200)
    assert ((ids >= 0) & (ids < ROWS)).all()


def test_centres_of_many_lists_are_found_by_codes() -> None:
    rows, lists = vectors(1, 20_000), 512
    raw = made(KINDS[1], rows, lists=f"IVF{lists}(PQ20x4fs,RFlat)")
    search, queries = search_of(raw), vectors(2, 40)
    kept, k = raw.refine_index.reconstruct_n(0, len(rows)), 20
    found = search.search(queries, k, nprobe=lists, candidates=len(rows))[0]
    np.testing.assert_allclose(found, best(queries @ kept.T, k), atol=1e-5)
    nprobe = 128
    near, visit = search._visited(queries, nprobe, search._read()[1])
    quantiser = faiss.downcast_index(faiss.downcast_index(raw.base_index).quantizer)
    centres = quantiser.refine_index.reconstruct_n(0, lists)
    np.testing.assert_allclose(near, np.einsum("qd,qkd->qk", queries, centres[visit]), atol=0.01)
    nearest = np.argsort(-(queries @ centres.T), axis=1)[:, :nprobe]
    shares = [np.isin(a, b).mean() for a, b in zip(nearest, visit, strict=True)]
    assert np.mean(shares) > 0.9


def test_lists_without_rows() -> None:
    rows = vectors(1)
    raw = made(KINDS[1], rows, lists="IVF100")
    raw.reset()
    raw.add(rows[:50])
    scores, ids = search_of(raw).search(rows[:50], 1, nprobe=100, candidates=50)
    np.testing.assert_array_equal(ids[:, 0], np.arange(50))
    np.testing.assert_allclose(scores, 1, atol=1e-3)


def test_what_is_not_known_is_left_to_faiss() -> None:
    for kind in ("Flat", "SQ8", "PQ20x4fs", "PQ4x8np,RFlat", "PQ20x4fs_64,RFlat", "Flat,RFlat"):
        assert ListSearch.of(made(kind)) is None
    rows = vectors(1)
    for factory in ("Flat", "HNSW16", f"OPQ20,IVF{LISTS},{KINDS[0]}"):
        other = faiss.index_factory(D, factory, faiss.METRIC_INNER_PRODUCT)
        other.train(rows)
        assert ListSearch.of(other) is None
    distances = faiss.index_factory(D, f"IVF{LISTS},{KINDS[0]}", faiss.METRIC_L2)
    distances.train(rows)
    distances.add(rows)
    assert ListSearch.of(distances) is None


def test_an_index_answers_the_same_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, settings = _half(), SearchSettings(nprobe=8, k_factor=6.0)
    queries, mask = vectors(7, 40), IdMask.of(np.arange(ROWS) % 2 == 0)
    ours = FaissIndex(raw).with_settings(settings)
    assert ours._searcher.lists is not None
    compiled = [ours.search(queries, 10, among=among)[1] for among in (None, mask)]
    monkeypatch.setattr(list_search, "library", lambda: None)
    theirs = FaissIndex(raw).with_settings(settings)
    assert theirs._searcher.lists is None
    for a, among in zip(compiled, (None, mask), strict=True):
        b = theirs.search(queries, 10, among=among)[1]
        assert np.mean([np.isin(x, y).mean() for x, y in zip(a, b, strict=True)]) > 0.97
