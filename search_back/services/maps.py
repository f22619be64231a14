"""Maps of an index: few at a time, and kept for who asks again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from search_back import deadlines
from search_back.errors import Overloaded
from search_back.layout import Map, MapQuery, lay_out
from search_back.services.index import IndexService

WAITING: Final = 4
KEPT: Final = 8
RETRY_S: Final = 5.0


class Maps:
    """Lays out one map at a time, which takes a core for seconds; a few more may wait. Thread-safe.

    The last ones are kept: a page goes back and forth, and a sample is the same for everybody.
    """

    def __init__(self) -> None:
        self._drawing = threading.Lock()
        self._room = threading.BoundedSemaphore(1 + WAITING)
        self._kept: OrderedDict[tuple[str, str, MapQuery], Map] = OrderedDict()

    def lay_out(self, index: IndexService, query: MapQuery) -> Map:
        """What ``layout.lay_out`` gives; raises ``Overloaded`` where too many wait."""
        if not self._room.acquire(blocking=False):
            raise Overloaded(
                f"{1 + WAITING} maps are drawn or wait for it",
                retry_after_s=RETRY_S,
                remedy="try again a little later",
            )
        try:
            left = deadlines.remaining()
            if not self._drawing.acquire(timeout=-1 if left is None else left):
                raise deadlines.exceeded("the map was begun")
            try:
                return self._drawn(index, query)
            finally:
                self._drawing.release()
        finally:
            self._room.release()

    def _drawn(self, index: IndexService, query: MapQuery) -> Map:
        snapshot = index.snapshot
        key = (index.name, snapshot.version, query)
        found = self._kept.pop(key, None)
        self._kept[key] = found = found or lay_out(snapshot, query)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
