"""How the rows of a mask lie in the lists of an inverted file."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_back.index.coarse import quantiser_parameters
from search_back.index.inverted_lists import InvertedLists
from search_back.index.plan import SearchSettings
from search_back.types import FloatArray, IdArray, IdMask

_MOST_ROWS: Final = 100_000_000  # whose lists are remembered, in 2 or 4 bytes each
# Times as many lists as on average are put in order; again where the first do not hold enough.
_WIDTHS: Final = (2, 8)
# Of the lists visited on average, a mask at random needs 0.79 to 0.95, one of a cluster far from
# the query 1.07 to 1.73 (200,000 rows in 1024 lists).
_ALIKE: Final = 0.9
_MOST_CANDIDATES: Final = 4  # times as many


class ListsOfRows:
    """Which list each row lies in, and how many rows of a mask lie in each list.

    Worked out for the first mask, in one pass over the ids of all lists; the counts of a mask are
    kept as long as the mask is. Several threads may ask at once.
    """

    def __init__(self, index: Any, ivf: Any, lists: Callable[[], InvertedLists]) -> None:
        self._index = index
        self.ivf = ivf
        self._find = lists
        self._lock = threading.Lock()
        self._table: NDArray[np.unsignedinteger[Any]] | None = None
        self._counts: dict[int, tuple[weakref.ref[Any], IdArray]] = {}

    @property
    def known(self) -> bool:
        """Whether rows are few enough to remember their lists."""
        return int(self.ivf.ntotal) <= _MOST_ROWS

    def widened(
        self, settings: SearchSettings, queries: FloatArray, mask: IdMask
    ) -> SearchSettings:
        """Settings for all rows as those that find as well among the rows of a mask.

        So many lists that they hold as many rows of the mask as ``settings.nprobe`` would on
        average. Where rows are like the query these are few. Where rows are unlike it they are
        many; there the order of lists says less about that of rows, and codes differ less from
        each other, so still more lists are visited, and more candidates scored again.
        """
        nprobe = settings.nprobe or int(self.ivf.nprobe)
        settings = replace(settings, nprobe=nprobe)
        counts = self._counts_of(mask)
        wanted = mask.count * nprobe / int(self.ivf.nlist)
        for times in _WIDTHS:
            lists = self._nearest(queries, nprobe * times)
            # A graph of centres may give fewer than it is asked for, and -1 behind them.
            held = np.cumsum(np.where(lists >= 0, counts[lists], 0), axis=1)
            found = _widened(settings, held, wanted)
            if found.nprobe != held.shape[1]:
                break
        return found

    def _nearest(self, queries: FloatArray, count: int) -> IdArray:
        """The lists nearest to each query, ``(n, ≤ count)``."""
        import faiss

        index: Any = faiss.downcast_index(self._index)
        while not isinstance(index, faiss.IndexIVF):
            if isinstance(index, faiss.IndexPreTransform):
                chain: Any = index.chain
                for i in range(chain.size()):
                    queries = chain.at(i).apply(queries)
                index = faiss.downcast_index(index.index)
            else:
                index = faiss.downcast_index(index.base_index)
        count = min(count, int(self.ivf.nlist))
        parameters = quantiser_parameters(self.ivf, count)
        lists: IdArray = self.ivf.quantizer.search(queries, count, params=parameters)[1]
        return lists

    def _counts_of(self, mask: IdMask) -> IdArray:
        key = id(mask.bits)
        held = self._counts.get(key)
        if held is not None:
            return held[1]
        table, ids = self._lists(), mask.ids
        counts = np.bincount(table[ids[ids < len(table)]], minlength=int(self.ivf.nlist) + 1)
        # The last are ids that no list has.
        counts = counts[:-1].astype(np.int64, copy=False)
        self._counts[key] = weakref.ref(mask.bits, lambda _: self._counts.pop(key, None)), counts
        return counts

    def _lists(self) -> NDArray[np.unsignedinteger[Any]]:
        with self._lock:
            if self._table is None:
                self._table = _lists_of(self._find())
            return self._table


def _widened(settings: SearchSettings, held: IdArray, wanted: float) -> SearchSettings:
    enough = _reach(held, wanted)
    unlike = enough / ((settings.nprobe or 1) * _ALIKE)
    if unlike <= 1:
        return replace(settings, nprobe=enough)
    return replace(
        settings,
        nprobe=_reach(held, wanted * unlike**2),
        k_factor=settings.k_factor and settings.k_factor * min(unlike**2, _MOST_CANDIDATES),
    )


def _reach(held: IdArray, wanted: float) -> int:
    """How many lists hold so many rows for each query; ``held``: ``(n, lists)``, added up."""
    short = (held < wanted).sum(axis=1)
    return int(min(short.max() + 1, held.shape[1]))


def _lists_of(lists: InvertedLists) -> NDArray[np.unsignedinteger[Any]]:
    """The list of each id, as many as there are where none has it: ``(greatest id + 1,)``."""

    def ids(i: int) -> IdArray:
        found = lists.ids_in(i)
        return found[found < _MOST_ROWS]

    full = np.flatnonzero(lists.sizes).tolist()
    most = max((int(ids(i).max(initial=-1)) for i in full), default=-1)
    kind: Any = np.uint16 if len(lists) < 1 << 16 else np.uint32
    table = np.full(most + 1, len(lists), dtype=kind)
    for i in full:
        table[ids(i)] = i
    return table
