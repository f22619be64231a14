"""How the spans of an input are spread over processes or machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from search_back.inference.settings import Strategy
from search_back.inference.source import START, Place


@dataclass(frozen=True, slots=True)
class Span:
    """The entries of the input behind ``start``."""

    start: Place = START


class Distributor(Protocol):
    """Embeds spans by calling ``embed``, a function of its span alone, wherever that is best."""

    def run(self, spans: Sequence[Span], embed: Callable[[Span], None]) -> None: ...


class Sequential:
    """One span after the other, in this process."""

    def run(self, spans: Sequence[Span], embed: Callable[[Span], None]) -> None:
        for span in spans:
            embed(span)


def distributor(strategy: Strategy) -> Distributor:
    """The distributor of ``--distribution-strategy``."""
    known: dict[Strategy, Callable[[], Distributor]] = {"sequential": Sequential}
    return known[strategy]()
