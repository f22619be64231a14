"""Concurrent calls share runs of the towers, and each caller gets exactly its own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.encoders.batching import BatchingEncoder
from search_back.errors import Overloaded
from search_back.types import FloatArray, Tokens
from tests.encoders.held import BAD, PATIENCE_S, Held, Queue, Watched, nothing_left, until
from tests.fakes import FakeEncoder, picture_bytes


def test_a_lone_call_runs_at_once_and_by_itself() -> None:
    watched, plain = Watched(), FakeEncoder()
    encoder = BatchingEncoder(plain, observer=watched)
    before = threading.active_count()
    for texts in (["red"], ["a", "bb", "ccc"]):
        assert np.array_equal(encoder.encode_texts(texts), plain.encode_texts(texts))
    picture = picture_bytes("blue")
    assert np.array_equal(encoder.encode_images([picture]), plain.encode_images([picture]))
    assert watched.batches == [("text", 1), ("text", 3), ("image", 1)]
    assert watched.waits == [0.0] * 3
    assert threading.active_count() == before
    assert (encoder.identity, encoder.runtime) == (plain.identity, plain.runtime)


def test_no_rows_give_no_rows() -> None:
    encoder = BatchingEncoder(FakeEncoder())
    assert encoder.encode_texts([]).shape == encoder.encode_images([]).shape == (0, 8)


def test_what_waits_goes_together(threads: ThreadPoolExecutor) -> None:
    held, watched = Held(), Watched()
    queue = Queue(BatchingEncoder(held, text_rows=4, observer=watched), threads)
    queue.start(["one"])
    until(lambda: held.runs == [("text", 1)])
    texts = [["two"], ["three", "four"], ["five"], ["six"], ["seven"]]
    for each in texts:
        queue.add(each)
    held.let_go(runs=3)
    results = [call.result(PATIENCE_S) for call in queue.calls]
    assert held.runs == [("text", 1), ("text", 4), ("text", 2)] == watched.batches
    held.let_go(runs=20)
    for each, result in zip([["one"], *texts], results, strict=True):
        assert np.array_equal(result, held.encode_texts(each))
    assert watched.waits[0] == 0.0
    assert all(wait > 0 for wait in watched.waits[1:])
    assert nothing_left(queue.encoder)


def test_one_long_text_does_not_make_the_short_ones_long(threads: ThreadPoolExecutor) -> None:
    held = Held()
    queue = Queue(BatchingEncoder(held), threads)
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    for text in ("short", "long " * 14, "brief", "also long " * 7):
        queue.add([text])
    held.let_go(runs=3)
    for call in queue.calls:
        call.result(PATIENCE_S)
    assert held.runs == [("text", 1), ("text", 2), ("text", 2)]


def test_texts_do_not_wait_for_pictures(threads: ThreadPoolExecutor) -> None:
    held = Held()
    encoder = BatchingEncoder(held)
    picture = threads.submit(encoder.encode_images, [picture_bytes("red")])
    until(lambda: held.runs == [("image", 1)])
    held.let_go("text")
    assert encoder.encode_texts(["red"]).shape == (1, 8)
    assert not picture.done()
    held.let_go("image")
    picture.result(PATIENCE_S)


def test_on_a_runtime_with_one_lock_they_take_turns(threads: ThreadPoolExecutor) -> None:
    held = Held()
    encoder = BatchingEncoder(held, one_tower_at_a_time=True, text_rows=1, picture_rows=1)
    queue = Queue(encoder, threads)
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    for number in range(3):
        queue.add([f"text {number}"])
    for colour in ("red", "green", "blue"):
        queue.add_picture(colour)
    held.let_go("text", 4)
    held.let_go("image", 3)
    for call in queue.calls:
        call.result(PATIENCE_S)
    kinds = [kind for kind, _ in held.runs]
    assert kinds[1:] in (["image", "text"] * 3, ["text", "image"] * 3)


def test_as_many_run_side_by_side_as_there_are_slots(threads: ThreadPoolExecutor) -> None:
    held = Held()
    queue = Queue(BatchingEncoder(held, slots=3), threads)
    for number in range(3):
        queue.start([str(number)])
    until(lambda: len(held.runs) == 3)
    queue.add(["four"])
    held.let_go(runs=4)
    for call in queue.calls:
        call.result(PATIENCE_S)
    assert nothing_left(queue.encoder)


def test_past_its_bound_the_queue_refuses_and_says_when_to_come_again(
    threads: ThreadPoolExecutor,
) -> None:
    held = Held()
    queue = Queue(BatchingEncoder(held, max_queued=3), threads)
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    queue.add(["one", "two"])
    with pytest.raises(Overloaded, match="max_queued_queries is 3, and 2 wait for the text") as e:
        queue.encoder.encode_texts(["three", "four"])
    assert e.value.retry_after_s >= 1
    assert e.value.code == "overloaded"
    queue.add(["three"])
    with pytest.raises(Overloaded):
        queue.encoder.encode_texts(["four"])
    held.let_go(runs=2)
    for call in queue.calls:
        call.result(PATIENCE_S)
    held.let_go()
    assert len(queue.encoder.encode_texts(["four"])) == 1


def test_the_time_to_come_again_is_that_of_the_queue(threads: ThreadPoolExecutor) -> None:
    held = Held()
    queue = Queue(BatchingEncoder(held, max_queued=2), threads)
    queue.encoder._texts._seconds_a_row = 2.4
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    queue.add(["one", "two"])
    with pytest.raises(Overloaded) as error:
        queue.encoder.encode_texts(["three"])
    assert error.value.retry_after_s == 5
    held.let_go(runs=2)


def test_a_call_larger_than_the_queue_waits_where_nothing_else_does(
    threads: ThreadPoolExecutor,
) -> None:
    held = Held()
    queue = Queue(BatchingEncoder(held, max_queued=1, text_rows=4), threads)
    queue.start(["first"])
    until(lambda: len(held.runs) == 1)
    queue.add([str(number) for number in range(10)])
    held.let_go(runs=4)
    assert queue.calls[1].result(PATIENCE_S).shape == (10, 8)


def test_a_large_call_lets_others_in_between(threads: ThreadPoolExecutor) -> None:
    held, plain = Held(), Held()
    plain.let_go(runs=100)
    queue = Queue(BatchingEncoder(held, text_rows=4), threads)
    texts = ["x" * (1 + number * 7 % 11) for number in range(12)]
    queue.start(texts)
    until(lambda: held.runs == [("text", 4)])
    queue.add(["alone"])
    held.let_go(runs=2)
    queue.calls[1].result(PATIENCE_S)
    assert not queue.calls[0].done()
    held.let_go(runs=2)
    assert np.array_equal(queue.calls[0].result(PATIENCE_S), plain.encode_texts(texts))
    assert [rows for _, rows in held.runs] == [4, 1, 4, 4]


def test_many_pictures_go_in_parts() -> None:
    watched, plain = Watched(), FakeEncoder()
    encoder = BatchingEncoder(plain, picture_rows=4, observer=watched)
    pictures = [picture_bytes((number, 9, 99)) for number in range(10)]
    assert np.array_equal(encoder.encode_images(pictures), plain.encode_images(pictures))
    assert watched.batches == [("image", 4), ("image", 4), ("image", 2)]


TEXTS = st.text(alphabet="abcdefgh ", max_size=40) | st.sampled_from(["red", "blue", BAD])
CALLS = st.lists(st.lists(TEXTS, max_size=7), min_size=1, max_size=12)


class Picky(FakeEncoder):
    """Fails at a bad text; gives way to other threads in the middle of a run."""

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        time.sleep(0)
        rows = super().encode_tokens(tokens)
        if any(bytes(int(t) - 1 for t in row if 0 < t < 257) == b"bad" for row in tokens.ids):
            raise ValueError(BAD)
        return rows


@settings(max_examples=60)
@given(
    calls=CALLS,
    pictures=st.lists(st.integers(0, 255), max_size=6),
    slots=st.integers(1, 3),
    rows=st.integers(1, 8),
    shared=st.booleans(),
)
def test_each_caller_gets_exactly_its_own_rows(
    calls: list[list[str]], pictures: list[int], slots: int, rows: int, shared: bool
) -> None:
    plain, watched = FakeEncoder(), Watched()
    encoder = BatchingEncoder(
        Picky(),
        slots=slots,
        one_tower_at_a_time=shared,
        text_rows=rows,
        picture_rows=rows,
        max_queued=1000,
        observer=watched,
    )
    start = threading.Barrier(len(calls) + len(pictures))

    def ask(call: list[str] | int) -> FloatArray | None:
        start.wait(PATIENCE_S)
        if isinstance(call, int):
            return encoder.encode_images([picture_bytes((call, 7, 77))])
        try:
            return encoder.encode_texts(call)
        except ValueError:
            return None

    with ThreadPoolExecutor(len(calls) + len(pictures)) as threads:
        results = list(threads.map(ask, [*calls, *pictures]))
    for texts, result in zip(calls, results, strict=False):
        if result is None:
            assert BAD in texts
        else:
            assert BAD not in texts
            assert np.array_equal(result, plain.encode_texts(texts))
    for shade, result in zip(pictures, results[len(calls) :], strict=True):
        assert result is not None
        assert np.array_equal(result, plain.encode_images([picture_bytes((shade, 7, 77))]))
    assert all(taken <= rows for _, taken in watched.batches)
    assert nothing_left(encoder)


def test_many_threads_and_many_calls_lose_nothing() -> None:
    plain = FakeEncoder()
    encoder = BatchingEncoder(Picky(), text_rows=8)
    expected = {f"text {n}": plain.encode_texts([f"text {n}"]) for n in range(50)}

    def ask(thread: int) -> int:
        right = 0
        for number in range(100):
            text = f"text {(thread * 7 + number) % 50}"
            right += np.array_equal(encoder.encode_texts([text]), expected[text])
        return right

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(ask, range(16))) == [100] * 16
    assert nothing_left(encoder)
