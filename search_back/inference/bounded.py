"""Work in threads ahead of whoever wants its results, in order, in bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def bounded_map(
    function: Callable[[In], Out], inputs: Iterable[In], *, workers: int, look_ahead: int
) -> Generator[Out, None, None]:
    """``map`` in threads, in order, never more than ``look_ahead`` inputs ahead of the consumer.

    Close it, or exhaust it: the threads end with it. An exception of ``function`` is raised in
    its turn.
    """
    pending: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="inference")
    try:
        for value in inputs:
            pending.append(pool.submit(function, value))
            if len(pending) >= look_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
