"""Progress on stderr: bars for people, lines of JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final

import click

from search_back.cli.logs import LOGGER, for_programs

if TYPE_CHECKING:
    from tqdm import tqdm


class InferenceBar:
    """Draws an inference run: items, items a second, time left, failures.

    Nothing is drawn before the first update, so that a run that cannot start says only why.
    """

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._behind = 0

    def resumed(self, done: int) -> None:
        self._behind = done

    def note(self, sentence: str) -> None:
        from tqdm import tqdm

        tqdm.write(sentence, file=sys.stderr)

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            # What an earlier run has done tells nothing about the speed of this one.
            self._bar = tqdm(initial=self._behind, unit=" items", dynamic_ncols=True)
        self._bar.total = total
        if failures:
            self._bar.set_postfix(failures=failures, refresh=False)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> InferenceBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class ProgressLines:
    """Writes an inference run as JSON objects, one a line, at most one progress a second.

    The last state is always written, when the block ends. ``stream``: None for stderr;
    ``clock``: seconds.
    """

    EVERY_S: Final = 1.0

    def __init__(
        self, stream: IO[str] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._behind = 0
        self._written_at: float | None = None
        self._waiting: tuple[int, int | None, int] | None = None

    def resumed(self, done: int) -> None:
        self._behind = done

    def note(self, sentence: str) -> None:
        self._write({"event": "note", "text": sentence})

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        self._waiting = (done, total, failures)
        now = self._clock()
        if self._written_at is None or now - self._written_at >= self.EVERY_S:
            self._flush(now)

    def __enter__(self) -> ProgressLines:
        self._began = self._clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flush(self._clock())

    def _flush(self, now: float) -> None:
        if self._waiting is None:
            return
        done, total, failures = self._waiting
        self._waiting = None
        self._written_at = now
        rate = (done - self._behind) / (now - self._began) if now > self._began else 0.0
        left = max(0, total - done) / rate if total is not None and rate else None
        self._write(
            {
                "event": "progress",
                "items": done,
                "total": total,
                "items_per_second": round(rate, 3),
                "eta_s": None if left is None else round(left, 1),
                "failures": failures,
            }
        )

    def _write(self, event: dict[str, Any]) -> None:
        # A line in one piece: another thread may log to the same stream.
        stream = self._stream or sys.stderr
        stream.write(json.dumps(event, ensure_ascii=False) + "\n")
        stream.flush()


class BuildBars:
    """Draws an index build: one bar a step."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def start(self, step: str, total: int) -> None:
        self.close()
        from tqdm import tqdm

        self._bar = tqdm(total=total, desc=step, unit=" vectors", dynamic_ncols=True)

    def advance(self, n: int) -> None:
        if self._bar is not None:
            self._bar.update(n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def say(sentence: str) -> None:
    """A line for people, on stderr, so that stdout stays a program's."""
    if for_programs():
        LOGGER.info("%s", sentence)
    else:
        click.echo(sentence, err=True)
