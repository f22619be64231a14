"""What answers a query: faiss, the compiled search in lists, or a graph beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from search_back.index.graph import NeighbourGraph
from search_back.index.inverted_lists import InvertedLists
from search_back.index.list_search import ListSearch
from search_back.index.parameters import call_parameters, candidates_per_result, lists_visited
from search_back.index.plan import SearchSettings
from search_back.types import FloatArray, IdArray, IdMask


@dataclass(frozen=True, slots=True)
class Prepared:
    """How k results are searched for, without a mask.

    ``nprobe`` and ``candidates``: where lists are searched by compiled code; ``parameters``: what
    faiss gets instead. ``ef``: candidates that the graph begins with, found in ``seed_nprobe``
    lists or as ``seeding`` tells faiss.
    """

    nprobe: int = 0
    candidates: int = 0
    parameters: Any = None
    ef: int = 0
    seed_nprobe: int = 0
    seeding: Any = None


class Searcher:
    """Finds the nearest rows of a faiss index, by whatever takes the least time for them.

    ``index``: without an id map; ``ivf``: the inverted file in it, or None. The others are those
    of ``FaissIndex``. Several threads may search at once.
    """

    def __init__(
        self,
        index: Any,
        ivf: Any | None,
        *,
        threads: int,
        neighbours: NeighbourGraph | None,
        parallel: bool,
        list_search: ListSearch | None,
        inverted_lists: InvertedLists | None = None,
    ) -> None:
        import faiss

        self._faiss: Any = faiss
        self._index, self._ivf = index, ivf
        self._is_l2 = bool(index.metric_type == faiss.METRIC_L2)
        self._threads, self._parallel = threads, parallel
        self.neighbours = neighbours
        self.lists = list_search or ListSearch.of(index, inverted_lists)

    def prepared(self, k: int, settings: SearchSettings) -> Prepared:
        """For searches without a mask; what faiss gets it only reads, so that calls share it.

        Making it takes as long as comparing thousands of codes.
        """
        if self.lists is None:
            call = Prepared(parameters=call_parameters(self._index, k, settings, breadth=k))
        else:
            call = self._in_lists(k, settings, k)
        if self.neighbours is None or not settings.seed_nprobe:
            return call
        ef = max(k, settings.ef_search or 0)
        seeds = SearchSettings(nprobe=settings.seed_nprobe)
        if self.lists is None:
            lists = self._index.base_index
            return replace(call, ef=ef, seeding=call_parameters(lists, ef, seeds, breadth=ef))
        return replace(call, ef=ef, seed_nprobe=lists_visited(self._ivf, seeds, ef))

    def search(
        self, queries: FloatArray, k: int, call: Prepared, hidden: IdArray | None = None
    ) -> tuple[FloatArray, IdArray]:
        """``(n, d)`` → similarities and places ``(n, k)``, best first, padded with -1.

        ``hidden``: for each query a place that must not lead the search to its neighbours.
        """
        if self.neighbours is not None and call.ef:
            scores, places, _ = self._walk(self.neighbours, queries, k, call, hidden)
            # Fewer than k rows may be linked to those.
            if places[:, -1].min() >= 0:
                return scores, places
        if self.lists is not None:
            return self._by_lists(self.lists, queries, k, call)
        return self._by_faiss(queries, k, call.parameters)

    def compared(
        self, queries: FloatArray, k: int, call: Prepared, hidden: IdArray | None = None
    ) -> int:
        """Rows that the graph beside the index compares to answer."""
        if self.neighbours is None or not call.ef:
            return 0
        return self._walk(self.neighbours, queries, k, call, hidden)[2]

    def among(
        self, queries: FloatArray, k: int, settings: SearchSettings, breadth: int, mask: IdMask
    ) -> tuple[FloatArray, IdArray]:
        """The same among the places of a mask. ``breadth``: results to visit lists for."""
        if self.lists is not None:
            call = self._in_lists(k, settings, breadth)
            return self._by_lists(self.lists, queries, k, call, mask)
        selector = self._faiss.IDSelectorBitmap(mask.bits)
        parameters = call_parameters(self._index, k, settings, breadth=breadth, selector=selector)
        return self._by_faiss(queries, k, parameters)

    def _walk(
        self,
        graph: NeighbourGraph,
        queries: FloatArray,
        k: int,
        call: Prepared,
        hidden: IdArray | None,
    ) -> tuple[FloatArray, IdArray, int]:
        if self.lists is not None:
            _, seeds = self.lists.search(
                queries, call.ef, nprobe=call.seed_nprobe, threads=self._threads
            )
        else:
            _, seeds = self._index.base_index.search(queries, call.ef, params=call.seeding)
        return graph.search(queries, k, call.ef, seeds, hidden)

    def _by_lists(
        self,
        lists: ListSearch,
        queries: FloatArray,
        k: int,
        call: Prepared,
        among: IdMask | None = None,
    ) -> tuple[FloatArray, IdArray]:
        return lists.search(
            queries,
            k,
            nprobe=call.nprobe,
            candidates=call.candidates,
            among=among,
            threads=self._threads,
            parallel=self._parallel,
        )

    def _by_faiss(self, queries: FloatArray, k: int, parameters: Any) -> tuple[FloatArray, IdArray]:
        scores, places = self._index.search(queries, k, params=parameters)
        if self._is_l2:
            scores = np.float32(1) - scores / np.float32(2)
        return scores, places

    def _in_lists(self, k: int, settings: SearchSettings, breadth: int) -> Prepared:
        return Prepared(
            nprobe=lists_visited(self._ivf, settings, breadth),
            candidates=math.ceil(k * candidates_per_result(self._index, k, settings)),
        )
