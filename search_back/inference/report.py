"""What a run tells while it works and when it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

EXAMPLES: Final = 10

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


@dataclass(slots=True)
class Tally:
    """What a run has come across so far, in this process and in those before it.

    ``skipped``: how many entries were passed over, by why. ``duplicates``: how many rows have the
    vector of an earlier one. ``first``: a few failures, as examples.
    """

    items: int = 0
    rows: int = 0
    failures: int = 0
    duplicates: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    stages: set[Stage] = field(default_factory=set)
    first: list[Failure] = field(default_factory=list)

    def add(
        self,
        items: int,
        rows: int,
        skipped: Mapping[Any, int],
        failures: Iterable[Failure],
        *,
        duplicates: int,
    ) -> None:
        self.items += items
        self.rows += rows
        self.skipped.update(skipped)
        self.duplicates += duplicates
        for failure in failures:
            self.failures += 1
            self.stages.add(failure.stage)
            if len(self.first) < EXAMPLES:
                self.first.append(failure)

    def reasons(self, most: int = 3) -> str:
        """The first few failures, in words."""
        return "; ".join(map(str, self.first[:most]))

    def notes(self, *, pictures: bool) -> list[str]:
        """What was passed over or copied, in sentences; ``pictures``: they are what is embedded."""
        sentences = {
            "linked folder": "{} linked folders were not entered",
            "no picture": "{} samples or rows of the input hold no picture",
            "no caption": "{} pictures without a readable caption were left out, since texts are "
            "embedded too"
            if pictures
            else "{} samples or rows of the input hold no caption",
        }
        found = [(text, self.skipped[why]) for why, text in sentences.items()]
        found.append(
            ("{} pictures have the bytes of an earlier one, and its vector", self.duplicates)
        )
        return [text.format(count) for text, count in found if count]


class Progress(Protocol):
    """Where a run reports to; called from the thread that called ``run``."""

    def note(self, sentence: str) -> None:
        """Something the user should know now rather than at the end."""
        ...

    def resumed(self, done: int) -> None:
        """The run goes on with an earlier one, which has done so many items."""
        ...

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        """``done`` items of ``total`` (None: unknown) are behind; both only ever count items."""
        ...


class Silent:
    """A ``Progress`` that says nothing."""

    def note(self, sentence: str) -> None:
        pass

    def resumed(self, done: int) -> None:
        pass

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class InferenceReport:
    """The result of a run.

    ``count``: rows written; ``failures``: rows of failures.parquet; ``dropped``: pictures left
    out because texts are embedded and they have no readable caption; ``duplicates``: rows whose
    vector is that of an earlier picture with the same bytes; ``notes``: sentences for people;
    ``first_failures``: a few of the failures, as examples.
    """

    output_folder: Path | str
    count: int
    dimension: int
    partitions: int
    has_image: bool
    has_text: bool
    columns: tuple[str, ...]
    failures: int
    dropped: int
    duplicates: int
    seconds: float
    notes: tuple[str, ...]
    first_failures: tuple[Failure, ...]

    @property
    def items_per_second(self) -> float:
        return self.count / self.seconds if self.seconds > 0 else 0.0
