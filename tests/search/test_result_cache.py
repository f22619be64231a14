"""The bounds of the cache of results."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.search.result_cache import Ranking, ResultCache


def ranking(n: int, *, candidates: int = 0) -> Ranking:
    return Ranking(
        np.linspace(1, 0, n, dtype=np.float32),
        np.arange(n, dtype=np.int64),
        candidates=candidates or n,
        complete=False,
    )


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = ResultCache(max_count=2)
    for name in ("a", "b"):
        cache.put(("1", name), ranking(3))
    assert cache.get(("1", "a")) is not None
    cache.put(("1", "c"), ranking(3))
    assert cache.get(("1", "b")) is None
    assert cache.get(("1", "a")) is not None
    assert cache.get(("2", "a")) is None
    assert len(cache) == 2


def test_a_ranking_of_fewer_candidates_replaces_none_of_more() -> None:
    cache = ResultCache()
    long, short = ranking(30), ranking(3)
    cache.put(("1", "a"), long)
    cache.put(("1", "a"), short)
    assert cache.get(("1", "a")) is long
    assert cache.nbytes == long.nbytes


def test_one_that_fits_nowhere_throws_nothing_out() -> None:
    small = ranking(3)
    cache = ResultCache(max_bytes=2 * small.nbytes)
    cache.put(("1", "a"), small)
    cache.put(("1", "b"), ranking(10_000))
    assert cache.get(("1", "a")) is small
    assert cache.get(("1", "b")) is None


def test_shared_arrays_cannot_be_written() -> None:
    cache = ResultCache()
    kept = ranking(3)
    cache.put(("1", "a"), kept)
    with pytest.raises(ValueError, match="read-only"):
        kept.ids[0] = 7


@given(
    steps=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 400), st.booleans()), max_size=60)
)
def test_bounds_hold_after_every_step(steps: list[tuple[int, int, bool]]) -> None:
    cache = ResultCache(max_bytes=10_000, max_count=4)
    kept: dict[int, Ranking] = {}
    for name, n, put in steps:
        key = ("1", str(name))
        if put:
            cache.put(key, ranking(n, candidates=n + 1))
        found = cache.get(key)
        if found is not None:
            kept[name] = found
        held = [cache.get(("1", str(i))) for i in range(7)]
        assert cache.nbytes == sum(one.nbytes for one in held if one is not None) <= 10_000
        assert len(cache) == sum(one is not None for one in held) <= 4


def test_threads_may_share_it() -> None:
    cache = ResultCache(max_bytes=50_000, max_count=5)
    together = threading.Barrier(4)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        together.wait()
        for _ in range(300):
            key = ("1", str(rng.integers(0, 12)))
            if rng.random() < 0.5:
                cache.put(key, ranking(int(rng.integers(1, 2000))))
            else:
                cache.get(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [cache.get(("1", str(i))) for i in range(12)]
    assert cache.nbytes == sum(one.nbytes for one in held if one is not None) <= 50_000
