"""What a run tells while it works and when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Stage = Literal["read", "caption", "metadata", "picture", "encode"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that could not be used; a row of failures.parquet.

    ``key``: the path of a file, folder or tar, or the key of a sample of a tar. A failed
    ``caption`` or ``metadata`` costs that part only, except where texts are embedded: there a
    picture without its caption is left out.
    """

    key: str
    stage: Stage
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


class Progress(Protocol):
    """Where a run reports to; called from the thread that called ``run``."""

    def note(self, sentence: str) -> None:
        """Something the user should know now rather than at the end."""
        ...

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        """``done`` items of ``total`` (None: unknown) are behind; both only ever count items."""
        ...


class Silent:
    """A ``Progress`` that says nothing."""

    def note(self, sentence: str) -> None:
        pass

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class InferenceReport:
    """The result of a run.

    ``count``: rows written; ``failures``: rows of failures.parquet; ``dropped``: pictures left
    out because texts are embedded and they have no readable caption; ``notes``: sentences for
    people; ``first_failures``: a few of the failures, as examples.
    """

    output_folder: Path
    count: int
    dimension: int
    partitions: int
    has_image: bool
    has_text: bool
    columns: tuple[str, ...]
    failures: int
    dropped: int
    seconds: float
    notes: tuple[str, ...]
    first_failures: tuple[Failure, ...]

    @property
    def items_per_second(self) -> float:
        return self.count / self.seconds if self.seconds > 0 else 0.0
