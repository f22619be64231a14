"""Calls that arrive together are encoded together."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from search_back import deadlines
from search_back.errors import Overloaded
from search_back.interfaces import Encoder
from search_back.types import (
    EncoderIdentity,
    FloatArray,
    IdArray,
    Modality,
    RuntimeInfo,
    Tokens,
)

TEXT_ROWS: Final = 16
PICTURE_ROWS: Final = 8
MAX_QUEUED: Final = 64
# A call of the tower costs about as much as this many positions of padding, in towers large and
# small; beyond it, padding may be so much of the work and no more.
_FREE_PADDING: Final = 32
_PADDED_SHARE: Final = 0.25
_LEAST_RETRY_S: Final = 1.0

# Tokens, or pixels.
T = TypeVar("T", bound=Sized)


class EncoderObserver(Protocol):
    """Is told what happens to calls; must be quick, and safe to call from several threads."""

    def batch(self, kind: Modality, rows: int) -> None:
        """So many rows went through a tower at once."""
        ...

    def waited(self, kind: Modality, seconds: float) -> None:
        """A call waited so long for its turn: 0 for one that found the tower free."""
        ...

    def cache(self, kind: Modality, *, hit: bool) -> None:
        """A query was looked up in the cache."""
        ...


class NoObserver:
    """Nobody looks."""

    def batch(self, kind: Modality, rows: int) -> None: ...

    def waited(self, kind: Modality, seconds: float) -> None: ...

    def cache(self, kind: Modality, *, hit: bool) -> None: ...


class BatchingEncoder:
    """An encoder whose concurrent calls share the runs of its towers.

    A call that finds a slot free runs at once. Calls that come meanwhile queue, and whoever
    finishes hands the slot to the first of them, which takes along what else is queued: up to
    ``text_rows`` texts of like length, or ``picture_rows`` pictures. Larger calls go in parts of
    that size and queue anew for each. There are no threads or timers here: the callers' threads
    do the work.

    ``slots``: how many runs of one tower may be under way. Texts and pictures have slots of their
    own, so neither waits for the other; with ``one_tower_at_a_time``, for a runtime that has one
    lock, they share the slots and take turns. ``max_queued``: rows that may wait for a tower;
    a call past it raises ``Overloaded``, unless nothing waits.

    A failure concerns its caller only: where a shared run fails, or leaves a caller with rows
    that are not finite, that caller's rows run again by themselves. Safe to call from several
    threads where the encoder is.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        slots: int = 1,
        one_tower_at_a_time: bool = False,
        text_rows: int = TEXT_ROWS,
        picture_rows: int = PICTURE_ROWS,
        max_queued: int = MAX_QUEUED,
        observer: EncoderObserver | None = None,
    ) -> None:
        watch = observer or NoObserver()
        self._encoder = encoder
        turns = _Turns(slots)
        self._texts: _Lane[Tokens] = _Lane(
            "text",
            encoder.encode_tokens,
            turns,
            join=Tokens.concatenate,
            split=_by_length,
            width=lambda tokens: tokens.ids.shape[1],
            most=text_rows,
            max_queued=max_queued,
            observer=watch,
        )
        self._pictures: _Lane[FloatArray] = _Lane(
            "image",
            encoder.encode_pixels,
            turns if one_tower_at_a_time else _Turns(slots),
            join=np.concatenate,
            split=_in_order,
            width=lambda pixels: 1,
            most=picture_rows,
            max_queued=max_queued,
            observer=watch,
        )

    @property
    def identity(self) -> EncoderIdentity:
        return self._encoder.identity

    @property
    def runtime(self) -> RuntimeInfo:
        return self._encoder.runtime

    def preprocess(self, picture: bytes) -> FloatArray:
        return self._encoder.preprocess(picture)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        return self._pictures(pixels)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        return self._encoder.tokenize(texts)

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        return self._texts(tokens)

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        if not pictures:
            return self._encoder.encode_images(pictures)
        return self.encode_pixels(np.stack([self.preprocess(p) for p in pictures]))

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_tokens(self.tokenize(texts))

    def close(self) -> None:
        self._encoder.close()


class _Call(Generic[T]):
    """Some rows on their way through a tower, and the thread that waits for them."""

    __slots__ = ("batch", "error", "gate", "gone", "input", "result", "rows", "since", "width")

    def __init__(self, input: T, width: int) -> None:  # noqa: A002
        self.input = input
        self.rows = len(input)
        self.width = width
        self.since = 0.0
        self.gate: threading.Lock | None = None
        self.result: FloatArray | None = None
        self.error: Exception | None = None
        # Those whose rows this call's thread runs, itself among them.
        self.batch: list[_Call[T]] = []
        # Whether its thread has left, so that it can lead no batch.
        self.gone = False

    @property
    def answered(self) -> bool:
        return self.result is not None or self.error is not None

    def wake(self) -> None:
        assert self.gate is not None
        self.gate.release()


class _Turns:
    """Slots and who has them.

    Under ``lock``: while a slot is free, no lane that shares it has anything queued.
    """

    def __init__(self, slots: int) -> None:
        self.lock = threading.Lock()
        self.slots = slots
        # A set, so that taking and leaving a slot is one step that nothing can interrupt.
        self.running: set[_Call[Any]] = set()
        self.lanes: list[_Lane[Any]] = []

    def hand_over(self) -> None:
        """Give a free slot to the first of each lane in turn; the caller holds ``lock``."""
        for lane in tuple(self.lanes):
            if lane.queue and len(self.running) < self.slots:
                call = lane.queue.popleft()
                self.running.add(call)
                call.wake()
                # The lane that was served goes behind the others.
                self.lanes.remove(lane)
                self.lanes.append(lane)


class _Lane(Generic[T]):
    """The way through one tower. Safe to call from several threads."""

    def __init__(
        self,
        kind: Modality,
        tower: Callable[[T], FloatArray],
        turns: _Turns,
        *,
        join: Callable[[list[T]], T],
        split: Callable[[T, int], Iterator[tuple[IdArray, T]]],
        width: Callable[[T], int],
        most: int,
        max_queued: int,
        observer: EncoderObserver,
    ) -> None:
        self._kind = kind
        self._tower = tower
        self._turns = turns
        self._join = join
        self._split = split
        self._width = width
        self._most = most
        self._max_queued = max_queued
        self._observer = observer
        self.queue: deque[_Call[T]] = deque()
        self._seconds_a_row = 0.0
        turns.lanes.append(self)

    def __call__(self, rows: T) -> FloatArray:
        if not len(rows):
            return self._tower(rows)
        if len(rows) <= self._most:
            return self._encode(rows)
        result: FloatArray | None = None
        for places, part in self._split(rows, self._most):
            vectors = self._encode(part, admitted=result is not None)
            if result is None:
                result = np.empty((len(rows), vectors.shape[1]), dtype=np.float32)
            result[places] = vectors
        assert result is not None
        return result

    def _encode(self, rows: T, *, admitted: bool = False) -> FloatArray:
        call = _Call(rows, self._width(rows))
        try:
            if not self._enter(call, admitted=admitted):
                assert call.gate is not None
                left = deadlines.remaining()
                if not call.gate.acquire(timeout=-1 if left is None else left):
                    raise deadlines.exceeded(f"the {self._kind} encoder had its turn")
            if not call.answered:
                self._lead(call)
        finally:
            self._leave(call)
        if call.error is not None:
            try:
                raise call.error
            finally:
                # Else the error's traceback would hold the call that holds the error.
                call.error = None
        assert call.result is not None
        return call.result

    def _enter(self, call: _Call[T], *, admitted: bool) -> bool:
        """Whether the call may run at once; else it is queued."""
        with self._turns.lock:
            if len(self._turns.running) < self._turns.slots:
                self._turns.running.add(call)
                return True
            queued = sum(other.rows for other in self.queue)
            if queued and not admitted and queued + call.rows > self._max_queued:
                raise self._overloaded(queued)
            call.gate = threading.Lock()
            call.gate.acquire()
            call.since = time.perf_counter()
            self.queue.append(call)
        return False

    def _overloaded(self, queued: int) -> Overloaded:
        wait = queued * self._seconds_a_row / self._turns.slots
        return Overloaded(
            f"max_queued_queries is {self._max_queued}, and {queued} wait for the {self._kind} "
            "encoder",
            retry_after_s=max(_LEAST_RETRY_S, float(math.ceil(wait))),
            remedy="try again a little later, or raise that setting of the server",
        )

    def _lead(self, call: _Call[T]) -> None:
        call.batch.append(call)
        if self.queue:
            with self._turns.lock:
                self._take_along(call)
        alone = len(call.batch) == 1
        rows = call.rows if alone else sum(each.rows for each in call.batch)
        began = time.perf_counter()
        self._observer.batch(self._kind, rows)
        for each in call.batch:
            self._observer.waited(self._kind, began - each.since if each.since else 0.0)
        if alone:
            call.result = self._tower(call.input)
        else:
            self._run_together(call.batch, rows)
        taken = (time.perf_counter() - began) / rows
        self._seconds_a_row += (taken - self._seconds_a_row) / (8 if self._seconds_a_row else 1)

    def _take_along(self, call: _Call[T]) -> None:
        """Move those from the queue that go well with the call into its batch."""
        rows, width, real = call.rows, call.width, call.rows * call.width
        left: list[_Call[T]] = []
        for other in self.queue:
            more = rows + other.rows
            wider = max(width, other.width)
            full = real + other.rows * other.width
            if more <= self._most and more * wider - full <= _FREE_PADDING + _PADDED_SHARE * full:
                rows, width, real = more, wider, full
                call.batch.append(other)
            else:
                left.append(other)
        self.queue.clear()
        self.queue.extend(left)

    def _run_together(self, batch: list[_Call[T]], rows: int) -> None:
        try:
            vectors = self._tower(self._join([each.input for each in batch]))
        except Exception:  # whose fault it is shows when each runs alone
            alone = batch
        else:
            assert len(vectors) == rows
            alone, start = [], 0
            for each in batch:
                part = vectors[start : start + each.rows].copy()
                start += each.rows
                # A runtime that scales activations over the batch spreads one row's infinity.
                if np.isfinite(part).all():
                    each.result = part
                else:
                    alone.append(each)
        for each in alone:
            try:
                each.result = self._tower(each.input)
            except Exception as error:
                each.error = error

    def _leave(self, call: _Call[T]) -> None:
        """Hand the slot on and wake those who have their answers, whatever happened."""
        if call.answered and not call.batch:
            return
        turns = self._turns
        with turns.lock:
            call.gone = True
            if call in turns.running:
                turns.running.discard(call)
                # This thread was stopped halfway: another takes over.
                unanswered = [c for c in call.batch if not (c.answered or c.gone)]
                self.queue.extendleft(reversed(unanswered))
                turns.hand_over()
            elif call in self.queue:
                self.queue.remove(call)
        for other in call.batch:
            if other is not call and other.answered:
                other.wake()


def _by_length(tokens: Tokens, most: int) -> Iterator[tuple[IdArray, Tokens]]:
    order = np.argsort(tokens.lengths, kind="stable")
    for start in range(0, len(order), most):
        places = order[start : start + most]
        yield places, tokens.take(places)


def _in_order(pixels: FloatArray, most: int) -> Iterator[tuple[IdArray, FloatArray]]:
    for start in range(0, len(pixels), most):
        part = pixels[start : start + most]
        yield np.arange(start, start + len(part)), part
