"""Bytes read before they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import NoReturn

from search_back.inference.bounded import bounded_map
from search_back.inference.items import Blob, Item
from search_back.inference.source import Placed


def read_ahead(
    entries: Iterable[Placed],
    *,
    readers: int,
    look_ahead: int,
    look: Callable[[Placed], Placed] | None = None,
) -> Generator[Placed, None, None]:
    """The same entries in the same order, their bytes read by ``readers`` threads.

    At most ``look_ahead`` entries are held. What goes wrong with a blob is raised where the blob is
    called, as without this. ``look``: what else to do with an entry, in the thread that has read
    it. Close it, or exhaust it.
    """

    def read(placed: Placed) -> Placed:
        entry = placed.entry
        if isinstance(entry, Item):
            entry = replace(
                entry,
                image=_held(entry.image),
                caption=_held(entry.caption),
                metadata=_held(entry.metadata),
            )
            placed = placed._replace(entry=entry)
        return placed if look is None else look(placed)

    return bounded_map(read, entries, workers=readers, look_ahead=look_ahead)


def _held(blob: Blob | None) -> Blob | None:
    if blob is None:
        return None
    try:
        data = blob()
    # Readers of remote files raise errors of their own; the item pays when it is its turn.
    except Exception as error:
        return _failing(error)
    return lambda: data


def _failing(error: Exception) -> Blob:
    def call() -> NoReturn:
        raise error

    return call
