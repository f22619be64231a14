"""A pass over the input, from its start or from where an earlier run came to."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from search_back.inference.items import Entry, Item, Mark, Reader, Skipped
from search_back.inference.plan import Plan

T = TypeVar("T")


class Placed(NamedTuple):
    """An entry and the number of its unit; ``mark``: where duplicates are looked for."""

    unit: int
    entry: Entry
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A point between two entries: ``entries`` entries of unit number ``unit`` are behind it.

    ``items``: how many items that count for ``--subset-size`` are behind it, in all units.
    """

    unit: int = 0
    entries: int = 0
    items: int = 0


START: Final = Place()


@dataclass(frozen=True, slots=True)
class Part:
    """What was taken of one unit: ``count`` entries from number ``first`` on."""

    unit: int
    name: str
    stamp: str
    first: int
    count: int


class Source:
    """The entries that a run looks into, in order, and which units they came from.

    ``subset_size``: it ends after so many items. ``start``: where to begin; entries before it are
    passed over without reading pictures, units before it without opening them. For one thread.
    """

    def __init__(
        self,
        reader: Reader,
        plan: Plan,
        *,
        subset_size: int | None = None,
        start: Place = START,
    ) -> None:
        self._reader = reader
        self._plan = plan
        self._subset_size = subset_size
        self._start = start
        self._opened: dict[int, tuple[str, str]] = {}
        self._place = start

    def entries(self) -> Generator[Placed, None, None]:
        """Once. Closes what it reads when it ends or is closed."""
        start, taken = self._start, self._start.items
        if taken == self._subset_size:
            return
        with closing(_closable(self._reader.units())) as units:
            for number, unit in enumerate(units):
                if number < start.unit:
                    continue
                self._opened[number] = (unit.name, unit.stamp())
                behind = start.entries if number == start.unit else 0
                with closing(_closable(unit.entries(False))) as found:
                    for entry in islice(found, behind, None):
                        chosen = self._chosen(entry)
                        yield Placed(number, chosen)
                        taken += isinstance(chosen, Item)
                        if taken == self._subset_size:
                            return

    def parts(self, taken: dict[int, int], items: int, *, end: bool) -> list[Part]:
        """Take note that so many entries of each unit, and so many items, have been dealt with.

        Gives what this adds, units without an entry included; empty where it adds nothing. ``end``:
        nothing follows.
        """
        place, parts = self._place, []
        last = max(taken, default=place.unit)
        if end:
            last = max((last, *self._opened))
        for number in range(place.unit, last + 1):
            first = place.entries if number == place.unit else 0
            if number in self._opened:
                name, stamp = self._opened[number]
                parts.append(Part(number, name, stamp, first, taken.get(number, 0)))
            if number < last:
                self._opened.pop(number, None)
        self._place = after(parts, place, items)
        return parts if self._place != place else []

    def _chosen(self, entry: Entry) -> Entry:
        if self._plan.pairs_only and isinstance(entry, Item) and entry.caption is None:
            return Skipped("no caption")
        return entry


def after(parts: Sequence[Part], place: Place, items: int) -> Place:
    """The place behind ``parts``, which begin at ``place``."""
    if not parts:
        return Place(place.unit, place.entries, place.items + items)
    last = parts[-1]
    return Place(last.unit, last.first + last.count, place.items + items)


def _closable(several: Iterator[T]) -> Generator[T, None, None]:
    """The same; closing it closes what gives them, where that can be."""
    try:
        yield from several
    finally:
        if isinstance(several, Generator):
            several.close()
