"""The moment at which a request is given up, carried along with it.

A transport sets it once; what waits further down (for an encoder, for another server) asks how
much time is left. It belongs to the thread that answers, through a context variable, so that no
signature between has to pass it on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from search_back.errors import DeadlineExceeded

_AT: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Give up at ``at``, in seconds of ``time.monotonic()``, or sooner where that is set."""
    outer = _AT.get()
    token = _AT.set(at if outer is None else min(at, outer))
    try:
        yield
    finally:
        _AT.reset(token)


def remaining() -> float | None:
    """Seconds that are left, not below zero; None where there is no deadline."""
    at = _AT.get()
    return None if at is None else max(0.0, at - time.monotonic())


def within(seconds: float) -> float:
    """So many seconds, or those that are left where they are fewer."""
    left = remaining()
    return seconds if left is None else min(seconds, left)


def check(doing: str) -> None:
    """Raise ``DeadlineExceeded`` once no time is left; ``doing``: what would have come next."""
    if remaining() == 0:
        raise exceeded(doing)


def exceeded(doing: str) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the time of the request was over before {doing}",
        remedy="ask again later, ask for less, or raise request_timeout_s of the server",
    )
