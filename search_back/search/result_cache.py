"""Results kept for the next page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from search_back.interfaces import CacheObserver, nobody_looks
from search_back.types import FloatArray, IdArray

Key = tuple[str, str]

MAX_BYTES = 64 << 20
MAX_COUNT = 1000
_OVERHEAD = 1024  # bytes of a result beside its arrays, generously


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The first hits of a query, in their order.

    ``similarities``: ``(n,)`` float32; ``ids``: ``(n,)`` int64, each once; ``candidates``: how many
    nearest neighbours were looked at for them; ``complete``: whether there are no further hits, or
    none may be looked for.
    """

    similarities: FloatArray
    ids: IdArray
    candidates: int
    complete: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        return self.similarities.nbytes + self.ids.nbytes + _OVERHEAD


class ResultCache:
    """The rankings used last, by (version of the snapshot, hash of the query).

    Holds at most ``max_bytes`` and ``max_count``; what was used longest ago goes first. Rankings
    are shared, so their arrays are made read-only. Safe to call from several threads.
    """

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        max_count: int = MAX_COUNT,
        observer: CacheObserver = nobody_looks,
    ) -> None:
        self._observer = observer
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._lock = threading.Lock()
        self._rankings: OrderedDict[Key, Ranking] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._rankings)

    @property
    def nbytes(self) -> int:
        with self._lock:
            return self._bytes

    def get(self, key: Key) -> Ranking | None:
        with self._lock:
            ranking = self._rankings.get(key)
            if ranking is not None:
                self._rankings.move_to_end(key)
        self._observer(hit=ranking is not None)
        return ranking

    def put(self, key: Key, ranking: Ranking) -> None:
        """Keep a ranking, unless the one there looked at more candidates or it fits nowhere."""
        ranking.similarities.setflags(write=False)
        ranking.ids.setflags(write=False)
        with self._lock:
            there = self._rankings.get(key)
            if ranking.nbytes > self._max_bytes or (
                there is not None and there.candidates > ranking.candidates
            ):
                return
            self._rankings[key] = ranking
            self._rankings.move_to_end(key)
            self._bytes += ranking.nbytes - (there.nbytes if there is not None else 0)
            while self._bytes > self._max_bytes or len(self._rankings) > self._max_count:
                self._bytes -= self._rankings.popitem(last=False)[1].nbytes
