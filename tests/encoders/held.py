"""Encoders whose runs wait until a test lets them go, and queues behind them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from search_back.encoders.batching import BatchingEncoder
from search_back.types import FloatArray, Modality, Tokens
from tests.fakes import FakeEncoder, picture_bytes

PATIENCE_S = 60.0
BAD = "bad"


@dataclass
class Watched:
    """An observer that keeps what it is told."""

    batches: list[tuple[Modality, int]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def batch(self, kind: Modality, rows: int) -> None:
        self.batches.append((kind, rows))

    def waited(self, kind: Modality, seconds: float) -> None:
        self.waits.append(seconds)

    def cache(self, kind: Modality, *, hit: bool) -> None: ...


class Held(FakeEncoder):
    """Its runs wait until they are let go; it counts those that are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[tuple[Modality, int]] = []
        self.released = {"text": threading.Semaphore(0), "image": threading.Semaphore(0)}

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        self._hold("text", len(tokens))
        return super().encode_tokens(tokens)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        self._hold("image", len(pixels))
        return super().encode_pixels(pixels)

    def _encode_text(self, tokens: np.ndarray) -> FloatArray:
        # A colour's vector is its picture's, which is no run of the tower.
        pixels = super().encode_pixels
        text = bytes(int(t) - 1 for t in tokens if 0 < t < 257)
        return pixels(np.full((1, 3, 2, 2), (hash(text) % 997) / 997, np.float32))[0]

    def _hold(self, kind: Modality, rows: int) -> None:
        self.runs.append((kind, rows))
        assert self.released[kind].acquire(timeout=PATIENCE_S)

    def let_go(self, kind: Modality = "text", runs: int = 1) -> None:
        self.released[kind].release(runs)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about without saying so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.001)


def queued(encoder: BatchingEncoder) -> int:
    return len(encoder._texts.queue) + len(encoder._pictures.queue)


def nothing_left(encoder: BatchingEncoder) -> bool:
    lanes = (encoder._texts, encoder._pictures)
    return not queued(encoder) and not any(lane._turns.running for lane in lanes)


class Queue:
    """Puts calls behind a held one, in a known order."""

    def __init__(self, encoder: BatchingEncoder, threads: ThreadPoolExecutor) -> None:
        self.encoder = encoder
        self._threads = threads
        self.calls: list[Future[FloatArray]] = []

    def start(self, texts: Sequence[str]) -> None:
        """A call that finds a slot free."""
        self.calls.append(self._threads.submit(self.encoder.encode_texts, texts))

    def add(self, texts: Sequence[str]) -> None:
        before = queued(self.encoder)
        self.start(texts)
        until(lambda: queued(self.encoder) == before + 1)

    def add_picture(self, colour: str) -> None:
        before = queued(self.encoder)
        picture = picture_bytes(colour)
        self.calls.append(self._threads.submit(self.encoder.encode_images, [picture]))
        until(lambda: queued(self.encoder) == before + 1)
