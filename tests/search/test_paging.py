"""Pages join, whatever is evicted and however many hits tie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import InvalidField
from search_back.search.cursor import CursorSeal
from search_back.search.dedup import first_of_each
from search_back.search.knn import nearest
from search_back.search.paging import Pager, Section, settled
from search_back.search.result_cache import Ranking, ResultCache
from search_back.types import FloatArray, IdArray
from search_back.vectors import normalise

VECTOR = np.array([1, 0], dtype=np.float32)


class Exact:
    """An exact index; of equally near rows it returns those that it likes, the last ids first."""

    kind = "exact"
    dimension = 2

    def __init__(self, vectors: FloatArray) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: FloatArray, k: int, **options: object) -> tuple[FloatArray, IdArray]:
        similarities = self._vectors @ queries[0]
        ids = np.lexsort((-np.arange(len(self)), -similarities))[:k]
        missing = k - len(ids)
        return (
            np.pad(similarities[ids], (0, missing), constant_values=-1)[None],
            np.pad(ids, (0, missing), constant_values=-1)[None],
        )

    def reconstruct(self, ids: IdArray) -> FloatArray:
        return self._vectors[ids]

    def close(self) -> None:
        pass


def searcher(index: Exact, *, deduplicate: bool, asked: list[int]) -> Callable[[int], Ranking]:
    def search(candidates: int) -> Ranking:
        asked.append(candidates)
        found = nearest(index, VECTOR, candidates)
        similarities, ids, complete = settled(*found, candidates=candidates)
        if deduplicate:
            keep = first_of_each(index.reconstruct(ids), 0.9999)
            similarities, ids = similarities[keep], ids[keep]
        return Ranking(similarities, ids, candidates, complete)

    return search


def few_angles(seed: int, n: int, steps: int) -> FloatArray:
    """Unit rows of so few directions that many tie; a step of 0.5° is near, one of 1° is not."""
    angles = np.deg2rad(np.random.default_rng(seed).integers(0, steps, n) * 0.5 + 20)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    steps=st.sampled_from([1, 4, 20, 300]),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    evicted=st.lists(st.booleans(), min_size=1, max_size=5),
    deduplicate=st.booleans(),
)
def test_pages_join_without_gaps_or_repeats(
    seed: int, n: int, steps: int, sizes: list[int], evicted: list[bool], deduplicate: bool
) -> None:
    index = Exact(few_angles(seed, n, steps))
    search = searcher(index, deduplicate=deduplicate, asked=[])
    seal = CursorSeal(b"secret")
    cache = ResultCache()
    ids: list[int] = []
    similarities: list[float] = []
    cursor, turn = None, 0
    while turn == 0 or cursor is not None:
        if evicted[turn % len(evicted)]:
            cache = ResultCache()
        k = sizes[turn % len(sizes)]
        section = Pager(cache, seal).page(search, version="1", query="q", k=k, cursor=cursor)
        assert section.offset == len(ids)
        assert len(section.ids) == k or section.next is None
        ids += section.ids.tolist()
        similarities += section.similarities.tolist()
        cursor, turn = section.next, turn + 1
    everything = search(n + 1)
    assert everything.complete
    if deduplicate:  # a later hit may link two groups that were shown before
        assert len(set(ids)) == len(ids)
        assert similarities == sorted(similarities, reverse=True)
        assert set(everything.ids.tolist()) <= set(ids)
    else:
        assert ids == everything.ids.tolist()
        assert similarities == everything.similarities.tolist()


def test_a_page_from_the_cache_searches_nothing() -> None:
    asked: list[int] = []
    index = Exact(normalise(np.random.default_rng(0).standard_normal((100, 2))))
    search = searcher(index, deduplicate=False, asked=asked)
    pager = Pager(ResultCache(), CursorSeal())
    section = pager.page(search, version="1", query="q", k=10)
    for _ in range(2):
        section = pager.page(search, version="1", query="q", k=10, cursor=section.next)
    assert asked == [40]
    assert section.offset == 20
    pager.page(search, version="1", query="q", k=10, cursor=section.next)
    assert asked == [40, 80]  # the fortieth hit is settled only by more


def test_an_evicted_result_is_searched_as_deep_at_once() -> None:
    asked: list[int] = []
    index = Exact(normalise(np.random.default_rng(0).standard_normal((500, 2))))
    search = searcher(index, deduplicate=False, asked=asked)
    seal = CursorSeal()
    cursor = None
    pager = Pager(ResultCache(), seal)
    for _ in range(10):
        cursor = pager.page(search, version="1", query="q", k=10, cursor=cursor).next
    assert asked == [40, 80, 160]
    Pager(ResultCache(), seal).page(search, version="1", query="q", k=10, cursor=cursor)
    assert asked == [40, 80, 160, 160]


def test_a_search_that_may_look_no_further_ends_the_pages() -> None:
    def search(candidates: int) -> Ranking:
        ids = np.arange(min(candidates, 12), dtype=np.int64)
        return Ranking(np.ones(len(ids), np.float32), ids, len(ids), complete=True)

    pager = Pager(ResultCache(), CursorSeal())
    first = pager.page(search, version="1", query="q", k=10)
    last = pager.page(search, version="1", query="q", k=10, cursor=first.next)
    assert last.ids.tolist() == [10, 11]
    assert last.next is None


def test_a_cursor_of_another_query_is_refused() -> None:
    index = Exact(few_angles(0, 30, 300))
    search = searcher(index, deduplicate=False, asked=[])
    pager = Pager(ResultCache(), CursorSeal())
    section: Section = pager.page(search, version="1", query="q", k=5)
    with pytest.raises(InvalidField, match="another query"):
        pager.page(search, version="1", query="other", k=5, cursor=section.next)


def test_the_lowest_similarity_is_settled_only_where_all_is_found() -> None:
    similarities = np.array([0.5, 0.25, 0.25], dtype=np.float32)
    ids = np.array([4, 1, 2], dtype=np.int64)
    values, kept, complete = settled(similarities, ids, candidates=3)
    assert (values.tolist(), kept.tolist(), complete) == ([0.5], [4], False)
    values, kept, complete = settled(similarities, ids, candidates=4)
    assert (values.tolist(), kept.tolist(), complete) == ([0.5, 0.25, 0.25], [4, 1, 2], True)


def test_hits_that_turn_out_to_be_duplicates_leave_no_gap() -> None:
    def search(candidates: int) -> Ranking:
        ids = np.arange(candidates, dtype=np.int64)
        if candidates > 16:
            ids = np.delete(ids, [1, 3, 15])
        return Ranking(np.float32(1) - ids.astype(np.float32) / 64, ids, candidates, False)

    pager = Pager(ResultCache(), CursorSeal())
    first = pager.page(search, version="1", query="q", k=4)
    then = pager.page(search, version="1", query="q", k=16, cursor=first.next)
    assert first.ids.tolist() == [0, 1, 2, 3]
    assert then.ids.tolist() == [*range(4, 15), *range(16, 21)]
