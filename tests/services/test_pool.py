"""The encoders of a server: loaded once, shared, and let go while nobody asks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from search_back.encoders.batching import BatchingEncoder
from search_back.encoders.cache import CachingEncoder
from search_back.errors import ConfigError, ModelUnavailable
from search_back.interfaces import Encoder
from search_back.metrics import Metrics
from search_back.services import EncoderPool
from search_back.services.encoders import _slots
from search_back.types import FloatArray, RuntimeInfo, Tokens
from tests.fakes import FakeEncoder, picture_bytes

PATIENCE_S = 60.0


class Closing(FakeEncoder):
    """Fails where it is used after it was closed, and says when it is closed."""

    def __init__(self, *, seed: int = 0, runtime: str = "numpy") -> None:
        super().__init__(seed=seed)
        self.closed = threading.Event()
        self.uses = 0
        self._name = runtime

    @property
    def runtime(self) -> RuntimeInfo:
        return RuntimeInfo(self._name)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        assert not self.closed.is_set()
        return super().tokenize(texts)

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        self.uses += 1
        rows = super().encode_tokens(tokens)
        time.sleep(0)
        assert not self.closed.is_set()
        return rows

    def close(self) -> None:
        assert not self.closed.is_set()
        self.closed.set()


@dataclass
class Loads:
    """A loader that keeps what it made."""

    make: Callable[[], Closing] = Closing
    made: list[Closing] = field(default_factory=list)

    def __call__(self, name: str, **options: object) -> Encoder:
        self.made.append(self.make())
        return self.made[-1]


class Clock:
    """Stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def pool(loads: Loads, clock: Clock) -> Iterator[EncoderPool]:
    """Unloads what was idle for ten seconds, when it is told to: its clock stands still."""
    pool = EncoderPool(loads, retry_s=5, clock=clock)
    pool._idle_s = 10
    yield pool
    pool.close()


def test_an_encoder_is_loaded_once_for_all_threads() -> None:
    loads: list[str] = []
    gate = threading.Barrier(8)

    def load(name: str) -> Encoder:
        loads.append(name)
        return FakeEncoder()

    pool = EncoderPool(load)

    def get(number: int) -> Encoder:
        gate.wait()
        return pool.get("ab"[number % 2])

    with ThreadPoolExecutor(8) as threads:
        encoders = list(threads.map(get, range(8)))
    assert sorted(loads) == ["a", "b"]
    assert len(set(map(id, encoders))) == 2
    assert pool.loaded == 2


def test_the_same_name_with_other_options_is_another_encoder() -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    def load(name: str, **options: object) -> Encoder:
        asked.append((name, options))
        return FakeEncoder()

    pool = EncoderPool(load)
    one = pool.get("a", precision="int8", runtime="onnx")
    assert pool.get("a", runtime="onnx", precision="int8") is one
    assert pool.get("a") is not one
    assert asked == [("a", {"precision": "int8", "runtime": "onnx"}), ("a", {})]


def test_a_slow_encoder_does_not_hold_up_another() -> None:
    released, began = threading.Event(), threading.Event()

    def load(name: str) -> Encoder:
        if name == "slow":
            began.set()
            assert released.wait(20)
        return FakeEncoder()

    pool = EncoderPool(load)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pool.get, "slow")
        assert began.wait(20)
        assert pool.get("quick").identity.name == "fake"
        pool.unload_idle()
        assert not slow.done()
        released.set()
        slow.result(20)


def test_one_that_fails_is_not_tried_at_every_query() -> None:
    loads: list[str] = []

    def load(name: str) -> Encoder:
        loads.append(name)
        raise ConfigError("no weights", value=name)

    patient, eager = EncoderPool(load, retry_s=1000), EncoderPool(load, retry_s=0)
    for pool in (patient, eager):
        for _ in range(3):
            with pytest.raises(ModelUnavailable, match=r"'x' cannot be loaded.*no weights"):
                pool.get("x")
    assert len(loads) == 1 + 3


def test_one_that_failed_is_tried_again_in_time(clock: Clock) -> None:
    answers: list[Encoder | Exception] = [ConfigError("not yet"), FakeEncoder()]

    def load(name: str) -> Encoder:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool = EncoderPool(load, retry_s=5, clock=clock)
    for later in (0, 4.9):
        clock.now += later
        with pytest.raises(ModelUnavailable, match="not yet"):
            pool.get("x")
    clock.now += 0.1
    assert pool.get("x").identity.name == "fake"


def test_loading_is_logged_with_what_it_runs_on_and_how_long_it_took(
    pool: EncoderPool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        pool.get("x")
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("loaded encoder x: numpy fp32 on cpu, 0.")
    assert line.endswith(" s")


def test_what_is_idle_is_unloaded_and_loaded_again_by_the_next_query(
    pool: EncoderPool, loads: Loads, clock: Clock
) -> None:
    encoder = pool.get("x")
    before = encoder.encode_texts(["red"])
    clock.now += 9
    pool.unload_idle()
    assert pool.loaded == 1
    encoder.encode_texts(["red"])
    clock.now += 9
    pool.unload_idle()
    assert not loads.made[0].closed.is_set()
    clock.now += 1
    pool.unload_idle()
    assert loads.made[0].closed.is_set()
    assert pool.loaded == 0
    assert pool.get("x") is encoder
    assert encoder.identity == FakeEncoder().identity
    assert encoder.runtime == RuntimeInfo("numpy")
    assert len(loads.made) == 1
    assert np.array_equal(encoder.encode_texts(["red"]), before)
    assert len(loads.made) == 2
    assert pool.loaded == 1


def test_what_is_in_use_stays(pool: EncoderPool, loads: Loads, clock: Clock) -> None:
    pool.get("x")
    (model,) = pool._models.values()
    with model.in_use():
        clock.now += 1000
        pool.unload_idle()
        assert not loads.made[0].closed.is_set()
    pool.unload_idle()
    assert pool.loaded == 1
    clock.now += 10
    pool.unload_idle()
    assert pool.loaded == 0


def test_a_known_query_needs_no_model(loads: Loads, clock: Clock) -> None:
    pool = EncoderPool(loads, cache_entries=10, clock=clock)
    encoder = pool.get("x")
    assert isinstance(encoder, CachingEncoder)
    first = encoder.prepare_text("a dog").embed()
    pool.unload_idle()
    assert pool.loaded == 0
    assert np.array_equal(encoder.prepare_text("a dog").embed(), first)
    assert (pool.loaded, pool.remembered, len(loads.made)) == (0, 1, 1)


def test_a_model_that_has_become_another_is_refused(clock: Clock) -> None:
    made = [Closing(), Closing(seed=1)]
    pool = EncoderPool(lambda name: made.pop(0), clock=clock)
    encoder, other = pool.get("x"), made[0]
    pool.unload_idle()
    with pytest.raises(ModelUnavailable, match=r"has become fake .*restart the server"):
        encoder.encode_texts(["red"])
    assert other.closed.is_set()


def test_closing_waits_for_nobody_and_takes_from_nobody(loads: Loads) -> None:
    pool = EncoderPool(loads)
    encoder = pool.get("x")
    (model,) = pool._models.values()
    with model.in_use() as used:
        pool.close()
        used.encode_texts(["red"])
        assert not loads.made[0].closed.is_set()
    assert loads.made[0].closed.is_set()
    with pytest.raises(ModelUnavailable, match="closed"):
        encoder.encode_texts(["red"])


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_without_an_idle_time_there_is_no_thread(loads: Loads) -> None:
    pool = EncoderPool(loads)
    before = names()
    pool.get("x").encode_texts(["red"])
    assert names() == before
    pool.close()


def test_with_an_idle_time_a_thread_unloads_and_ends_with_the_pool(loads: Loads) -> None:
    pool = EncoderPool(loads, idle_s=0.02)
    encoder = pool.get("x")
    assert "unload-idle-encoders" in names()
    for number in range(3):
        encoder.encode_texts(["red"])
        assert loads.made[number].closed.wait(PATIENCE_S)
    assert len(loads.made) == 3
    pool.close()
    assert "unload-idle-encoders" not in names()


@pytest.mark.parametrize("settings", [{}, {"batching": False}, {"cache_entries": 5}])
def test_no_query_loses_its_encoder_while_it_is_unloaded(settings: dict[str, int]) -> None:
    loads = Loads()
    pool = EncoderPool(loads, **settings)  # type: ignore[arg-type]
    expected = {f"text {n}": FakeEncoder().encode_texts([f"text {n}"]) for n in range(30)}
    done = threading.Event()

    def ask(thread: int) -> bool:
        names = [f"text {(thread * 7 + number) % 30}" for number in range(20)]
        encoder = pool.get("x")
        return all(np.array_equal(encoder.encode_texts([n]), expected[n]) for n in names)

    def unload() -> None:
        while not done.is_set():
            pool.unload_idle()

    with ThreadPoolExecutor(13) as threads:
        unloading = threads.submit(unload)
        deadline = time.monotonic() + PATIENCE_S
        try:
            while len(loads.made) < 4:
                assert time.monotonic() < deadline, "it was not unloaded"
                assert all(threads.map(ask, range(12)))
        finally:
            done.set()
        unloading.result(PATIENCE_S)
    assert sum(not encoder.closed.is_set() for encoder in loads.made) <= 1
    pool.close()
    assert all(encoder.closed.is_set() for encoder in loads.made)


@pytest.mark.parametrize(("batching", "entries"), [(True, 5), (True, 0), (False, 5), (False, 0)])
def test_batching_and_the_cache_are_settings(batching: bool, entries: int) -> None:
    encoder = EncoderPool(Loads(), batching=batching, cache_entries=entries).get("x")
    assert isinstance(encoder, CachingEncoder) == bool(entries)
    inner = encoder._encoder if isinstance(encoder, CachingEncoder) else encoder
    assert isinstance(inner, BatchingEncoder) == batching
    assert np.array_equal(encoder.encode_texts(["red"]), FakeEncoder().encode_texts(["red"]))


def test_the_towers_of_torch_take_turns() -> None:
    torch = EncoderPool(Loads(lambda: Closing(runtime="torch")), threads=1).get("x")
    onnx = EncoderPool(Loads(lambda: Closing(runtime="onnxruntime")), threads=1).get("x")
    assert isinstance(torch, BatchingEncoder)
    assert isinstance(onnx, BatchingEncoder)
    assert torch._texts._turns is torch._pictures._turns
    assert torch._texts._turns.slots == 1
    assert onnx._texts._turns is not onnx._pictures._turns
    assert onnx._texts._turns.slots == _slots(1)


def test_slots_fill_the_cores() -> None:
    assert _slots(0) == 1
    assert _slots(1) >= 1
    assert _slots(10_000) == 1


def test_warming_up_runs_both_towers_and_leaves_no_trace() -> None:
    metrics, runs = Metrics(), []

    class Seen(FakeEncoder):
        def encode_tokens(self, tokens: Tokens) -> FloatArray:
            runs.append("text")
            return super().encode_tokens(tokens)

        def encode_pixels(self, pixels: FloatArray) -> FloatArray:
            runs.append("image")
            return super().encode_pixels(pixels)

    pool = EncoderPool(lambda name: Seen(), cache_entries=5, observer=metrics)
    pool.warm_up("x")
    assert "image" in runs
    assert "text" in runs
    assert pool.remembered == 0
    assert b'encoder_batch_rows_count{tower="text"} 0.0' in metrics.exposition()[0]


def test_a_model_of_texts_alone_is_warmed_up_too(caplog: pytest.LogCaptureFixture) -> None:
    class TextsAlone(FakeEncoder):
        def encode_pixels(self, pixels: FloatArray) -> FloatArray:
            raise ModelUnavailable("there is no image tower")

    pool = EncoderPool(lambda name: TextsAlone())
    with caplog.at_level(logging.WARNING):
        pool.warm_up("x")
    assert "encoder x cannot read pictures: there is no image tower" in caplog.text


def test_a_picture_goes_through_too(pool: EncoderPool) -> None:
    data = picture_bytes("red")
    encoder = pool.get("x")
    expected = FakeEncoder().encode_images([data])
    assert np.array_equal(encoder.encode_images([data]), expected)
    assert np.array_equal(encoder.encode_pixels(encoder.preprocess(data)[None]), expected)
