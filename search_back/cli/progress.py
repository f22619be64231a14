"""Progress bars, on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import click
from tqdm import tqdm


class InferenceBar:
    """Draws an inference run: items, items a second, time left, failures.

    Nothing is drawn before the first update, so that a run that cannot start says only why.
    """

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def note(self, sentence: str) -> None:
        tqdm.write(sentence, file=sys.stderr)

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        if self._bar is None:
            self._bar = tqdm(unit=" items", dynamic_ncols=True)
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


class BuildBars:
    """Draws an index build: one bar a step."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def start(self, step: str, total: int) -> None:
        self.close()
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
    click.echo(sentence, err=True)
