"""A faiss index behind the ``VectorIndex`` Protocol."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_back.errors import BadFolder, CorruptFile, DimensionMismatch, UnknownId
from search_back.index.cost import search_bytes
from search_back.index.graph import NeighbourGraph, graph_path, open_graph
from search_back.index.inverted_lists import InvertedLists
from search_back.index.list_search import ListSearch
from search_back.index.lists import ListsOfRows
from search_back.index.mapped_lists import read_mapped
from search_back.index.parameters import graph_of, takes_selector
from search_back.index.plan import SearchPlan, SearchSettings, Step
from search_back.index.scan import Scan
from search_back.index.searcher import Prepared, Searcher
from search_back.index.stored import StoredVectors
from search_back.types import FloatArray, IdArray, IdMask, Modality

POPULATED: Final = "populated.index"
UNTUNED_FOR: Final = 10  # results that the nprobe of a file without a plan is taken to be meant for
GRAPH_LEAST: Final = 0.1
PREPARED: Final = 256  # parameters that are kept for calls to come


class FaissIndex:
    """Flat, HNSW, IVF and their wrappers (pre-transform, id map, refine).

    Searching is safe from several threads: no state of the index changes with a query.
    ``threads``: how many one search may use; 0: as OpenMP says. One is best where queries come
    from several threads, whose teams would otherwise wait for each other. ``neighbours``: a graph
    beside the index, asked where the plan says how many candidates it keeps. ``parallel``: whether
    one large search may take a second core. ``list_search``: what searches lists in place of faiss;
    None: whatever knows them. ``inverted_lists``: where they lie, if faiss does not hold them.
    """

    def __init__(
        self,
        index: Any,
        plan: SearchPlan | None = None,
        *,
        threads: int = 1,
        neighbours: NeighbourGraph | None = None,
        parallel: bool = False,
        list_search: ListSearch | None = None,
        inverted_lists: InvertedLists | None = None,
    ) -> None:
        import faiss

        self._faiss: Any = faiss
        # The object itself, not a downcast of it: a downcast does not keep its memory alive.
        self._index: Any = index
        top: Any = faiss.downcast_index(index)
        # faiss passes the selector of a call through an id map only if nothing else is between.
        self._map: Any | None = top if isinstance(top, faiss.IndexIDMap) else None
        self._inner: Any = faiss.downcast_index(top.index) if self._map is not None else top
        # Asking faiss for a number takes microseconds, which a query of 300 of them feels.
        self._dimension = int(index.d)
        self._stored = StoredVectors(self._inner)
        self._scan = Scan(self._inner, self._stored)
        self._lists = None
        if self.ivf is not None:
            # Not a method of this, which would keep it alive until it is looked for as a cycle.
            find = partial(_lists_in, self.ivf, index, inverted_lists)
            self._lists = ListsOfRows(self._inner, self.ivf, find)
        self._inverted_lists = inverted_lists
        self._plan = plan if plan is not None and plan.steps else self._plan_of_file()
        self._threads = threads
        self._parallel = parallel
        self._searcher = Searcher(
            self._inner,
            self.ivf,
            threads=threads,
            neighbours=neighbours,
            parallel=parallel,
            list_search=list_search,
            inverted_lists=inverted_lists,
        )
        self._prepared: dict[tuple[int, Modality | None], Prepared] = {}

    @property
    def dimension(self) -> int:
        return self._dimension

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @cached_property
    def kind(self) -> str:
        """The faiss class, with its lists: ``IndexIVFScalarQuantizer(1024 lists)``."""
        ivf = self.ivf
        name = type(self._faiss.downcast_index(self._index)).__name__
        return f"{name}({ivf.nlist} lists)" if ivf is not None else name

    @cached_property
    def ivf(self) -> Any | None:
        """The inverted file inside, or None where the index has none."""
        return self._faiss.try_extract_index_ivf(self._index)

    @property
    def inverted_lists(self) -> InvertedLists | None:
        """Where the lists of the inverted file lie, or None where the index has none."""
        if self.ivf is None:
            return None
        return _lists_in(self.ivf, self._index, self._inverted_lists)

    @property
    def graph(self) -> Any | None:
        """The HNSW graph inside, or None where the index has none."""
        return graph_of(self._inner)

    @property
    def neighbours(self) -> NeighbourGraph | None:
        """The graph of near neighbours beside the index, or None where there is none."""
        return self._searcher.neighbours

    @property
    def refines(self) -> bool:
        """Whether candidates are found by short codes and scored again by longer ones."""
        return isinstance(self._inner, self._faiss.IndexRefine)

    @cached_property
    def is_exact(self) -> bool:
        """Whether vectors come back as they were given, to half precision at least."""
        return not self.renumbers and _keeps_exactly(self._inner)

    @property
    def raw(self) -> Any:
        """The faiss object, for what adds to it: nothing that serves may.

        Its lists are empty where they stayed in the file.
        """
        return self._index

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        among: IdMask | None = None,
        asked_by: Modality | None = None,
        hidden: IdArray | None = None,
    ) -> tuple[FloatArray, IdArray]:
        """``(n, d)`` float32 → similarities and ids, best first, padded with -1.

        Both are ``(n, min(k, ids that may be found))``. L2 indices are answered in inner
        products, ``1 - distance / 2`` for unit vectors. ``hidden``: for each query a stored id
        that must not lead the search to its neighbours, -1 for none: ``(n,)``. It may be found.
        """
        if queries.ndim != 2 or queries.shape[1] != self._dimension:
            raise DimensionMismatch(
                f"the index holds {self.dimension}-d vectors", value=queries.shape
            )
        total = len(self)
        mask = None if among is None else self._by_place(among)
        findable = total if mask is None else min(mask.count, total)
        k = min(k, findable)
        if k <= 0:
            empty = (len(queries), 0)
            return np.empty(empty, np.float32), np.empty(empty, np.int64)
        if self._threads:
            # The number belongs to the calling thread, so each has to set it.
            self._faiss.omp_set_num_threads(self._threads)
        if mask is None:
            scores, places = self._searcher.search(queries, k, self._prepare(k, asked_by), hidden)
        else:
            scores, places = self._among(queries, k, mask, asked_by)
        if self._map is not None:
            places = np.where(places >= 0, self._ids_by_place[places], -1)
        return scores, places

    def compared(
        self,
        queries: FloatArray,
        k: int,
        *,
        asked_by: Modality | None = None,
        hidden: IdArray | None = None,
    ) -> int:
        """Rows that the graph beside the index compares to answer ``(n, d)`` queries."""
        return self._searcher.compared(queries, k, self._prepare(k, asked_by), hidden)

    def _among(
        self, queries: FloatArray, k: int, mask: IdMask, asked_by: Modality | None
    ) -> tuple[FloatArray, IdArray]:
        """The nearest among the rows of a mask: searched for, or compared one by one.

        Whichever costs less; and one by one where a search does not find enough.
        """
        # The k best of a tenth of the ids are about the 10 k best of all.
        breadth = min(len(self), math.ceil(k * len(self) / mask.count))
        settings = self._settings(k, breadth, asked_by)
        if takes_selector(self._inner) and self._is_searched(settings, k, mask):
            if self._lists is not None and self._lists.known:
                settings, breadth = self._lists.widened(settings, queries, mask), k
            if self._is_searched(settings, k, mask):
                scores, places = self._searcher.among(queries, k, settings, breadth, mask)
                if places.min() >= 0:
                    return scores, places
        places = mask.ids
        return self._scan.nearest(queries, k, places[places < len(self)])

    def _is_searched(self, settings: SearchSettings, k: int, mask: IdMask) -> bool:
        """Whether that costs less than to compare every row of a mask.

        A graph finds few of the rows of a mask that are unlike the query, and is not asked for
        less than a tenth of all.
        """
        share = min(1.0, mask.count / len(self))
        if share < GRAPH_LEAST and self.graph is not None:
            return False
        return search_bytes(self._inner, settings, k, share=share) < self._scan.bytes(mask.count)

    def _prepare(self, k: int, asked_by: Modality | None) -> Prepared:
        prepared = self._prepared.get((k, asked_by))
        if prepared is None:
            if len(self._prepared) >= PREPARED:
                self._prepared.clear()
            prepared = self._searcher.prepared(k, self._settings(k, k, asked_by))
            self._prepared[k, asked_by] = prepared
        return prepared

    def _settings(self, k: int, breadth: int, asked_by: Modality | None) -> SearchSettings:
        """Those of k results, which would be among ``breadth`` if all ids could be found."""
        wide, near = self._plan.at(breadth, asked_by), self._plan.at(k, asked_by)
        return replace(wide, k_factor=near.k_factor)

    def _by_place(self, mask: IdMask) -> IdMask:
        """A mask of ids as one of places in which vectors were added."""
        if self._map is None:
            return mask
        ids = self._ids_by_place
        known = (ids >= 0) & (ids < mask.rows)
        passing = np.zeros(len(ids), dtype=np.bool_)
        passing[known] = mask.passing[ids[known]]
        return IdMask.of(passing)

    def reconstruct(self, ids: IdArray) -> FloatArray:
        """Stored vectors of ``(n,)`` ids: ``(n, d)`` float32; raises ``UnknownId``."""
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        if self._threads:
            self._faiss.omp_set_num_threads(self._threads)
        return self._stored.take(ids if self._map is None else self._places(ids))

    @cached_property
    def renumbers(self) -> bool:
        """Whether ids are other than the positions 0 … n - 1 in which vectors were added."""
        if self._map is None:
            return False
        return not np.array_equal(self._ids_by_place, np.arange(len(self)))

    @cached_property
    def _ids_by_place(self) -> IdArray:
        assert self._map is not None
        ids: IdArray = self._faiss.vector_to_array(self._map.id_map)
        return ids

    @cached_property
    def _places_by_id(self) -> tuple[IdArray, IdArray]:
        order = np.argsort(self._ids_by_place, kind="stable")
        return self._ids_by_place[order], order

    def _places(self, ids: IdArray) -> IdArray:
        known, order = self._places_by_id
        if not len(known):
            raise UnknownId("the index has no such id", value=ids.tolist()[:10])
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        missing = known[at] != ids
        if missing.any():
            raise UnknownId("the index has no such id", value=ids[missing].tolist()[:10])
        return order[at]

    def _plan_of_file(self) -> SearchPlan:
        """What the file says, growing with k up to every list."""
        ivf = self.ivf
        if ivf is None or len(self) <= UNTUNED_FOR:
            return SearchPlan({})
        few = Step(UNTUNED_FOR, SearchSettings(nprobe=int(ivf.nprobe)))
        every = Step(len(self), SearchSettings(nprobe=int(ivf.nlist)))
        return SearchPlan({"image": (few, every)})

    def with_plan(self, plan: SearchPlan) -> FaissIndex:
        """The same index searched with other settings."""
        return self._as(plan, self._threads)

    def with_settings(self, settings: SearchSettings) -> FaissIndex:
        """The same index searched with the same settings whatever is asked."""
        return self.with_plan(SearchPlan.of(settings))

    def on_threads(self, threads: int) -> FaissIndex:
        """The same index, a search of which may use so many threads."""
        return self._as(self._plan, threads)

    def _as(self, plan: SearchPlan, threads: int) -> FaissIndex:
        return FaissIndex(
            self._index,
            plan,
            threads=threads,
            neighbours=self._searcher.neighbours,
            parallel=self._parallel,
            list_search=self._searcher.lists,
            inverted_lists=self._inverted_lists,
        )

    @property
    def plan(self) -> SearchPlan:
        return self._plan

    def close(self) -> None:
        """Drop the index and its mapped files."""
        self._index = self._map = self._inner = None
        self._prepared.clear()
        self._lists = self._inverted_lists = None
        del self._stored, self._scan, self._searcher


def _lists_in(ivf: Any, owner: Any, known: InvertedLists | None) -> InvertedLists:
    return known or InvertedLists.of(ivf, owner)


def _keeps_exactly(index: Any) -> bool:
    import faiss

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        return _keeps_exactly(index.refine_index)
    if isinstance(index, faiss.IndexHNSW):
        return _keeps_exactly(index.storage)
    if isinstance(index, faiss.IndexScalarQuantizer | faiss.IndexIVFScalarQuantizer):
        return bool(index.sq.qtype == faiss.ScalarQuantizer.QT_fp16)
    return isinstance(index, faiss.IndexFlat | faiss.IndexIVFFlat)


def open_index(
    path: Path,
    *,
    memory_mapping: bool = False,
    plan: SearchPlan | None = None,
    parallel: bool = False,
) -> FaissIndex:
    """Read an index: a file, or a folder with ``populated.index`` and its inverted lists.

    A graph of near neighbours beside a file is read with it.

    ``memory_mapping`` leaves the vectors in the file, shared by all processes; ``parallel``: see
    ``FaissIndex``. Raises ``BadFolder`` where there is none and ``CorruptFile`` where faiss cannot
    read it.
    """
    import faiss

    file, flags = path, 0
    if path.is_dir():
        file, flags = path / POPULATED, faiss.IO_FLAG_ONDISK_SAME_DIR
    elif memory_mapping:
        flags = faiss.IO_FLAG_MMAP_IFC
    if not file.is_file():
        raise BadFolder("there is no index file", value=str(file), remedy="run search-back index")
    lists: InvertedLists | None = None
    try:
        index, lists = _read(file, flags)
    except (RuntimeError, MemoryError) as error:
        # A damaged length may ask for more memory than there is.
        raise CorruptFile(
            f"faiss cannot read {file}",
            value=str(error).rsplit("Error: ", 1)[-1].strip() or "not enough memory",
            remedy="restore the file, or build the index again",
        ) from error
    graph = open_graph(graph_path(path), index)
    return FaissIndex(index, plan, neighbours=graph, parallel=parallel, inverted_lists=lists)


def _read(file: Path, flags: int) -> tuple[Any, InvertedLists | None]:
    """With its lists, where they stay in the file."""
    import faiss

    if flags == faiss.IO_FLAG_MMAP_IFC:
        mapped = read_mapped(file)
        if mapped is not None and ListSearch.of(*mapped) is not None:
            return mapped
    return faiss.read_index(str(file), flags), None
