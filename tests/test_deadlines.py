"""A request's time, wherever it is asked for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from search_back import deadlines
from search_back.encoders.batching import BatchingEncoder
from search_back.errors import DeadlineExceeded
from tests.fakes import FakeEncoder


def test_none_where_none_is_set() -> None:
    assert deadlines.remaining() is None
    assert deadlines.within(7.0) == 7.0
    deadlines.check("anything")


def test_the_sooner_of_two_counts_and_the_outer_comes_back() -> None:
    now = time.monotonic()
    with deadlines.deadline(now + 100):
        with deadlines.deadline(now + 500):
            assert 90 < (deadlines.remaining() or 0) <= 100
        with deadlines.deadline(now - 1):
            assert deadlines.remaining() == 0
            assert deadlines.within(5.0) == 0
            with pytest.raises(DeadlineExceeded, match="before lunch"):
                deadlines.check("lunch")
        assert (deadlines.remaining() or 0) > 90
    assert deadlines.remaining() is None


def test_another_thread_has_its_own() -> None:
    with deadlines.deadline(time.monotonic() + 1), ThreadPoolExecutor(1) as pool:
        assert pool.submit(deadlines.remaining).result() is None


def test_a_query_leaves_the_queue_of_an_encoder_in_time() -> None:
    busy, free = threading.Event(), threading.Event()

    class Slow(FakeEncoder):
        def encode_tokens(self, tokens):  # type: ignore[no-untyped-def]
            busy.set()
            assert free.wait(30)
            return super().encode_tokens(tokens)

    encoder = BatchingEncoder(Slow())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(encoder.encode_texts, ["a"])
        assert busy.wait(30)
        with (
            deadlines.deadline(time.monotonic() + 0.05),
            pytest.raises(DeadlineExceeded, match="the text encoder"),
        ):
            encoder.encode_texts(["b"])
        free.set()
        assert first.result(30).shape[0] == 1
    assert encoder.encode_texts(["c"]).shape[0] == 1
