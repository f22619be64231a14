"""A run that fails or is stopped costs its own caller only."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from search_back.encoders.batching import BatchingEncoder
from search_back.types import FloatArray, Tokens
from tests.encoders.held import BAD, PATIENCE_S, Held, Queue, nothing_left, queued, until


class Failing(Held):
    """Fails, or gives rows that are not finite, where a bad text is among its rows."""

    how = "raises"

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        rows = super().encode_tokens(tokens)
        bad = [bytes(int(t) - 1 for t in row if 0 < t < 257) == BAD.encode() for row in tokens.ids]
        if any(bad):
            if self.how == "raises":
                raise ValueError(BAD)
            rows[bad if self.how == "one row" else slice(None)] = np.nan
        return rows


@pytest.mark.parametrize("how", ["raises", "one row", "every row"])
def test_a_failure_is_its_callers_alone(how: str, threads: ThreadPoolExecutor) -> None:
    failing = Failing()
    failing.how = how
    failing.let_go(runs=100)
    good = {text: failing.encode_texts([text]) for text in ("one", "two", "three")}
    failing.released["text"] = threading.Semaphore(0)
    queue = Queue(BatchingEncoder(failing), threads)
    queue.start(["first"])
    until(lambda: failing.runs[-1:] == [("text", 1)] and len(failing.runs) == 4)
    for text in ("one", BAD, "two", BAD, "three"):
        queue.add([text])
    failing.let_go(runs=100)
    for text, call in zip(("one", BAD, "two", BAD, "three"), queue.calls[1:], strict=True):
        if text != BAD:
            assert np.array_equal(call.result(PATIENCE_S), good[text])
        elif how == "raises":
            with pytest.raises(ValueError, match=BAD):
                call.result(PATIENCE_S)
        else:
            assert np.isnan(call.result(PATIENCE_S)).all()
    errors = [call.exception() for call in queue.calls]
    assert len({id(error) for error in errors if error}) == (2 if how == "raises" else 0)
    assert nothing_left(queue.encoder)


class Stopped(BaseException):
    """As KeyboardInterrupt: whoever meets it must go, at once."""


class Interrupting(Held):
    """Stops the thread of its second run."""

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        rows = super().encode_tokens(tokens)
        if len(self.runs) == 2:
            raise Stopped
        return rows


def test_a_thread_that_is_stopped_leaves_its_batch_to_another(threads: ThreadPoolExecutor) -> None:
    held = Interrupting()
    queue = Queue(BatchingEncoder(held), threads)
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    for text in ("one", "two", "three"):
        queue.add([text])
    held.let_go(runs=3)
    with pytest.raises(Stopped):
        queue.calls[1].result(PATIENCE_S)
    for call in (queue.calls[0], *queue.calls[2:]):
        assert len(call.result(PATIENCE_S)) == 1
    assert held.runs == [("text", 1), ("text", 3), ("text", 2)]
    assert nothing_left(queue.encoder)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
@pytest.mark.parametrize("taken_along", [False, True])
def test_a_thread_that_is_stopped_while_it_waits_is_not_waited_for(
    taken_along: bool, threads: ThreadPoolExecutor
) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    held = Held()
    encoder = BatchingEncoder(held)
    queue = Queue(encoder, threads)
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    if taken_along:
        queue.add(["leads"])
    main, before = threading.get_ident(), signal.signal(signal.SIGUSR1, stop)

    def interrupt() -> None:
        until(lambda: queued(encoder) == len(queue.calls))
        if taken_along:
            held.let_go()
            until(lambda: held.runs[1:] == [("text", 2)])
        signal.pthread_kill(main, signal.SIGUSR1)

    helper = threads.submit(interrupt)
    try:
        with pytest.raises(Stopped):
            encoder.encode_texts(["stopped"])
    finally:
        signal.signal(signal.SIGUSR1, before)
    helper.result(PATIENCE_S)
    held.let_go(runs=3)
    for call in queue.calls:
        call.result(PATIENCE_S)
    assert nothing_left(encoder)
    assert len(encoder.encode_texts(["after"])) == 1
