"""Search in inverted lists of 4-bit codes by compiled code.

faiss answers the same. It spends most of a query among a million vectors on waiting for memory, a
list and a vector at a time; here the next ones are asked for meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final

import numpy as np

from search_back.cores import usable_cores
from search_back.index.centre_search import CentreSearch
from search_back.index.coarse import quantiser_parameters
from search_back.index.coded_lists import CodedLists
from search_back.index.graph import MOST_ROWS, rows_of, steps_of
from search_back.index.inverted_lists import InvertedLists
from search_back.kernels import library
from search_back.types import FloatArray, IdArray, IdMask

_BLOCK: Final = 32  # rows whose codes lie together
_MOST_PARTS: Final = 4_096  # a score must differ by more than a step of its sixteen bits
_HALVED_FROM: Final = 16 << 20  # bytes that are read; a thread that is woken costs as much as 1 MiB


class ListSearch:
    """The lists of a refining index, and the vectors that score what they find.

    Similarities are inner products, those of the refining index. Any number of threads may search
    at once. Nothing may be added to the index meanwhile.
    """

    def __init__(
        self, index: Any, ivf: Any, vectors: Any, lists: InvertedLists | None = None
    ) -> None:
        self._index = index  # whose memory is read: itself, since what is cast does not keep it
        self._ivf = ivf
        self._lists = lists
        self._vectors = vectors
        self._lock = threading.Lock()
        self._tables: tuple[CodedLists, CentreSearch | None] | None = None

    @classmethod
    def of(cls, index: Any, lists: InvertedLists | None = None) -> ListSearch | None:
        """``lists``: where they lie; None: where faiss holds them.

        None where faiss has to search: other kinds of index, and of processors.
        """
        import faiss

        compiled = library()
        if compiled is None or not compiled.lists_searchable():
            return None
        top = faiss.downcast_index(index)
        if not isinstance(top, faiss.IndexRefine):
            return None
        ivf: Any = faiss.downcast_index(top.base_index)
        vectors: Any = faiss.downcast_index(top.refine_index)
        known = _are_known_lists(ivf) and _are_known_vectors(vectors)
        return cls(index, ivf, vectors, lists) if known and 0 < index.ntotal <= MOST_ROWS else None

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        nprobe: int,
        candidates: int | None = None,
        among: IdMask | None = None,
        threads: int = 1,
        parallel: bool = False,
    ) -> tuple[FloatArray, IdArray]:
        """``(n, d)`` float32 → similarities and ids ``(n, k)``, best first, padded with -1.

        ``nprobe``: lists visited; ``candidates``: found there and scored again by their vectors;
        None: the codes' own scores are good enough.
        ``among``: ids that may be found. ``threads``: for several queries; 0: one for each core.
        ``parallel``: whether a large search may take a second core.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        lists, centres = self._read()
        most = k if candidates is None else max(k, min(candidates, int(self._index.ntotal)))
        again = candidates is not None
        halve = parallel and self._bytes(nprobe, most) >= _HALVED_FROM

        def answer(part: FloatArray) -> tuple[FloatArray, IdArray]:
            near, visit = self._visited(part, nprobe, centres)
            if halve:
                return _in_halves(lists, part, visit, near, k, most, again, among)
            return lists.search(part, visit, near, k, candidates=most, again=again, among=among)

        parts = max(1, min(len(queries), threads or usable_cores()))
        if parts == 1:
            return answer(queries)
        found = list(_pool().map(answer, np.array_split(queries, parts)))
        scores, ids = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return scores, ids

    def _bytes(self, nprobe: int, candidates: int) -> int:
        """About so many are read."""
        ivf = self._ivf
        rows = int(self._index.ntotal) * nprobe // int(ivf.nlist)
        return rows * int(ivf.code_size) + candidates * int(self._vectors.code_size)

    def _visited(
        self, queries: FloatArray, nprobe: int, centres: CentreSearch | None
    ) -> tuple[FloatArray, IdArray]:
        """The lists nearest to each query; and what all vectors of each score to begin with."""
        if centres is not None:
            near, visit = centres.nearest(queries, nprobe)
        else:
            parameters = quantiser_parameters(self._ivf, nprobe)
            near, visit = self._ivf.quantizer.search(queries, nprobe, params=parameters)
        return near if self._ivf.by_residual else np.zeros_like(near), visit

    def _read(self) -> tuple[CodedLists, CentreSearch | None]:
        """Where all lies: found out by the first search, since faiss tells it list by list."""
        if self._tables is None:
            with self._lock:
                if self._tables is None:
                    self._tables = self._coded(), CentreSearch.of(self._ivf)
        return self._tables

    def _coded(self) -> CodedLists:
        rows = rows_of(self._vectors)
        return CodedLists(
            self._ivf.pq,
            self._lists or InvertedLists.of(self._ivf, self._index),
            rows,
            steps=steps_of(self._vectors) if rows.itemsize == 1 else None,
        )


def _in_halves(
    lists: CodedLists,
    queries: FloatArray,
    visit: IdArray,
    near: FloatArray,
    k: int,
    candidates: int,
    again: bool,
    among: IdMask | None,
) -> tuple[FloatArray, IdArray]:
    """Every other list, and the rest beside them where a core is free.

    Always in halves, so that what is found does not depend on who else searches.
    """
    # Of the best candidates about as many lie in one half as in the other.
    most = candidates if candidates >= lists.rows else max(k, candidates * 5 // 8)

    def half(first: int) -> tuple[FloatArray, IdArray]:
        mine = np.ascontiguousarray(visit[:, first::2]), np.ascontiguousarray(near[:, first::2])
        return lists.search(queries, *mine, k, candidates=most, again=again, among=among)

    other = _pool().submit(half, 1)
    one = half(0)
    # What nobody has begun is done here.
    rest: tuple[FloatArray, IdArray] = half(1) if other.cancel() else other.result()
    scores = np.concatenate([one[0], rest[0]], axis=1)
    ids = np.concatenate([one[1], rest[1]], axis=1)
    scores[ids < 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    scores, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
    scores[ids < 0] = 0
    return scores, ids


def _are_known_lists(index: Any) -> bool:
    """Lists of 4-bit codes in blocks, compared by inner products."""
    import faiss

    raw: Any = faiss
    return (
        isinstance(index, raw.IndexIVFPQFastScan)
        and index.metric_type == raw.METRIC_INNER_PRODUCT
        and isinstance(raw.downcast_InvertedLists(index.invlists), raw.BlockInvertedLists)
        and index.bbs == _BLOCK
        and index.pq.M % 2 == 0
        and index.pq.M <= _MOST_PARTS
        and index.d % index.pq.M == 0
    )


def _are_known_vectors(index: Any) -> bool:
    """An array of floats, half floats or bytes."""
    import faiss

    if isinstance(index, faiss.IndexScalarQuantizer):
        kinds = (faiss.ScalarQuantizer.QT_8bit, faiss.ScalarQuantizer.QT_fp16)
        return index.sq.qtype in kinds
    return isinstance(index, faiss.IndexFlat)


@cache
def _pool() -> ThreadPoolExecutor:
    """Who shares the queries, or the halves, of one call."""
    import faiss

    raw: Any = faiss
    return ThreadPoolExecutor(
        usable_cores(),
        thread_name_prefix="lists",
        initializer=lambda: raw.omp_set_num_threads(1),
    )
