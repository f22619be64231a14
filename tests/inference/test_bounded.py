from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from search_back.inference.bounded import bounded_map


def test_a_map_keeps_the_order_and_reads_no_further_than_its_look_ahead() -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for i in range(100):
            read.append(i)
            yield i

    for done, value in enumerate(bounded_map(lambda n: n * 2, numbers(), workers=4, look_ahead=10)):
        assert value == done * 2
        assert len(read) <= done + 10
    assert len(read) == 100


def test_an_exception_is_raised_in_its_turn_and_ends_the_threads() -> None:
    before = threading.active_count()
    results = bounded_map(lambda n: 1 // (3 - n), range(10), workers=2, look_ahead=4)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before
