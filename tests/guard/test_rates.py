"""Token buckets: against a plain one, and over processes."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.config import Rate
from search_back.errors import ConfigError
from search_back.guard import RateTable
from search_back.guard.rates import next_full

SECRET = bytes(32)
NOW = 1000.0


class Bucket:
    """Tokens as one counts them by hand: full at first, refilled as time goes by."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.tokens = float(rate.count)
        self.last = 0.0

    def take(self, now: float, cost: float) -> bool:
        refill = (now - self.last) * self.rate.count / self.rate.per_s
        self.tokens = min(float(self.rate.count), self.tokens + refill)
        self.last = now
        if self.tokens < cost - 1e-4:
            return False
        self.tokens -= cost
        return True


@given(
    rate=st.builds(Rate, st.integers(1, 50), st.sampled_from([1, 60, 3600])),
    # In eighths of a second, far from where rounding would decide.
    steps=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([1.0, 0.1])), max_size=80),
)
def test_it_admits_what_a_bucket_of_tokens_admits(
    rate: Rate, steps: list[tuple[int, float]]
) -> None:
    full_at, now, bucket = 0.0, 0.0, Bucket(rate)
    for step, cost in steps:
        now += step / 8
        full_at, early = next_full(full_at, now, rate, cost)
        assert (early == 0.0) == bucket.take(now, cost)
        if early:
            assert 0 < early <= rate.per_s * max(1.0, cost)
            assert next_full(full_at, now + early, rate, cost)[1] == 0.0
            assert next_full(full_at, now + early / 2, rate, cost)[1] > 0.0


def test_so_many_at_once_then_evenly() -> None:
    with closing(RateTable(SECRET)) as table:
        rate = Rate(20, 1)
        assert [table.admit("a", rate, now=NOW) for _ in range(20)] == [0.0] * 20
        assert table.admit("a", rate, now=NOW) == pytest.approx(0.05)
        assert table.admit("b", rate, now=NOW) == 0.0
        assert table.admit("a", rate, now=NOW + 0.05) == 0.0
        assert table.admit("a", rate, now=NOW + 0.05) == pytest.approx(0.05)


def test_names_keep_apart() -> None:
    with closing(RateTable(SECRET)) as table:
        rate = Rate(1, 3600)
        admitted = sum(table.admit(f"name {i}", rate, now=NOW) == 0.0 for i in range(1000))
    # 0.5 are expected to share a bucket.
    assert admitted >= 995


def test_threads_admit_no_more_than_one_would() -> None:
    with closing(RateTable(SECRET)) as table, ThreadPoolExecutor(8) as pool:
        start = threading.Barrier(8)

        def ask(_: int) -> int:
            start.wait()
            return sum(table.admit("a", Rate(500, 3600), now=NOW) == 0.0 for _ in range(200))

        assert sum(pool.map(ask, range(8))) == 500


def count(path: Path, start: Any, admitted: Any) -> None:
    with closing(RateTable(SECRET, path)) as table:
        start.wait()
        admitted.put(sum(table.admit("a", Rate(1500, 3600), now=NOW) == 0.0 for _ in range(1000)))


def test_processes_admit_no_more_than_one_would(tmp_path: Path) -> None:
    path = RateTable.create(tmp_path / "rates")
    context = multiprocessing.get_context("spawn")
    start, admitted = context.Barrier(2), context.SimpleQueue()
    processes = [context.Process(target=count, args=(path, start, admitted)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    counts = [admitted.get(), admitted.get()]
    assert sum(counts) == 1500
    with closing(RateTable(SECRET, path)) as table:
        assert table.admit("a", Rate(1500, 3600), now=NOW) > 0.0


def hold(path: Path, held: Any) -> None:
    table = RateTable(SECRET, path)
    with table._alone(table._slot("a")):
        held.set()
        threading.Event().wait()


def test_a_process_that_dies_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = RateTable.create(tmp_path / "rates")
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(path, held))
    process.start()
    assert held.wait(60)
    with closing(RateTable(SECRET, path)) as table, ThreadPoolExecutor(1) as pool:
        waits = pool.submit(table.admit, "a", Rate(1, 1), now=NOW)
        assert not waits.done()
        process.kill()
        assert waits.result(timeout=60) == 0.0
    process.join(60)


@pytest.mark.parametrize(
    ("text", "rate"), [("20/s", Rate(20, 1)), ("600/m", Rate(600, 60)), ("5/h", Rate(5, 3600))]
)
def test_a_rate_is_read_and_written(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert str(rate) == text


@pytest.mark.parametrize(
    "text", ["", "20", "20/d", "0/s", "-1/s", "1.5/s", "20 / s", "²/s", None, 20]
)
def test_what_is_no_rate(text: object) -> None:
    with pytest.raises(ConfigError, match="no rate"):
        Rate.parse(text)
