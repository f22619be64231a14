"""Threads that answer: how many, and which."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from search_back.server.listening.dispatcher import BoundedDispatcher

DEADLINE_S = 20


class Task:
    """A request; ``gate``: it takes until that opens."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self._gate = gate
        self.begun, self.done = threading.Event(), threading.Event()
        self.thread = ""

    def service(self) -> None:
        self.thread = threading.current_thread().name
        self.begun.set()
        if self._gate is not None:
            self._gate.wait(DEADLINE_S)
        self.done.set()

    def cancel(self) -> None: ...


@pytest.fixture
def make() -> Iterator[Callable[[int, int], Any]]:
    made = []

    def one(threads: int, max_waiting: int) -> Any:
        dispatcher = BoundedDispatcher(threads=threads, max_waiting=max_waiting)
        made.append(dispatcher)
        settle(dispatcher)
        return dispatcher

    yield one
    for dispatcher in made:
        dispatcher.shutdown()
        assert not dispatcher.threads


def settle(dispatcher: Any) -> None:
    """Until all threads are idle."""
    until = time.monotonic() + DEADLINE_S
    while dispatcher.active_count and time.monotonic() < until:
        time.sleep(0.001)
    assert not dispatcher.active_count


def test_one_request_after_the_other_goes_to_one_thread(make: Callable[[int, int], Any]) -> None:
    dispatcher = make(8, 4)
    tasks = [Task() for _ in range(20)]
    for task in tasks:
        assert dispatcher.offer(task)
        assert task.done.wait(DEADLINE_S)
        settle(dispatcher)
    assert len({task.thread for task in tasks}) == 1


def test_all_threads_answer_where_all_are_needed(make: Callable[[int, int], Any]) -> None:
    dispatcher, gate = make(4, 2), threading.Event()
    tasks = [Task(gate) for _ in range(6)]
    for task in tasks:
        assert dispatcher.offer(task)
    for task in tasks[:4]:
        assert task.begun.wait(DEADLINE_S)
    assert not dispatcher.offer(Task(gate))  # as many wait as may
    assert len({task.thread for task in tasks[:4]}) == 4
    assert not tasks[5].begun.is_set()
    gate.set()
    for task in tasks:
        assert task.done.wait(DEADLINE_S)
