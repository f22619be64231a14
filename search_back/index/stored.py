"""Reading vectors back from an index by their places."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from search_back.errors import UnknownId
from search_back.types import FloatArray, IdArray


class StoredVectors:
    """Vectors as exact as a faiss index keeps them; an id map on top of it is not seen.

    Rows are read in the order in which they lie in the file, which matters where it is mapped.
    Several threads may read at once.
    """

    def __init__(self, index: Any) -> None:
        import faiss

        self._faiss: Any = faiss
        self._index = index
        self._lock = threading.Lock()

    def take(self, ids: IdArray) -> FloatArray:
        """``(n,)`` int64 → ``(n, d)`` float32; raises ``UnknownId``."""
        if not len(ids):
            return np.empty((0, self._index.d), dtype=np.float32)
        if ids.min() < 0:
            raise _unknown(ids[ids < 0])
        return self._take(self._index, ids)

    def _take(self, index: Any, ids: IdArray) -> FloatArray:
        faiss = self._faiss
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexPreTransform):
            rows = self._take(index.index, ids)
            for i in reversed(range(index.chain.size())):
                rows = index.chain.at(i).reverse_transform(rows)
            return rows
        if isinstance(index, faiss.IndexRefine):
            return self._take(index.refine_index, ids)
        if isinstance(index, faiss.IndexHNSW):
            return self._take(index.storage, ids)
        if isinstance(index, faiss.IndexIVF):
            return self._take_from_lists(index, ids)
        outside = ids >= index.ntotal
        if outside.any():
            raise _unknown(ids[outside])
        return _in_order(ids, ids, index.reconstruct_batch)

    def _take_from_lists(self, ivf: Any, ids: IdArray) -> FloatArray:
        faiss = self._faiss
        self._prepare_direct_map(ivf)
        if ivf.direct_map.type == faiss.DirectMap.Hashtable:
            try:
                rows: FloatArray = ivf.reconstruct_batch(ids)
            except RuntimeError as error:
                raise _unknown(ids) from error
            return rows
        table = ivf.direct_map.array
        places = faiss.rev_swig_ptr(table.data(), table.size())
        missing = ids >= len(places)
        missing[~missing] = places[ids[~missing]] < 0
        if missing.any():
            raise _unknown(ids[missing])
        places = places[ids]
        if isinstance(ivf, faiss.IndexIVFPQFastScan):
            # faiss 1.15 crashes when it reads one of these back by itself.
            return _in_order(places, places, lambda rows: _unpack(ivf, rows))
        return _in_order(places, ids, ivf.reconstruct_batch)

    def _prepare_direct_map(self, ivf: Any) -> None:
        """An inverted file finds a vector by its id only with this table of 8 bytes an id."""
        kinds = self._faiss.DirectMap
        if ivf.direct_map.type != kinds.NoMap:
            return
        with self._lock:
            if ivf.direct_map.type != kinds.NoMap:
                return
            try:
                ivf.make_direct_map(True)
            except RuntimeError:  # ids that are not 0 … n - 1
                ivf.set_direct_map_type(kinds.Hashtable)


def _in_order(places: IdArray, keys: IdArray, read: Callable[[IdArray], FloatArray]) -> FloatArray:
    order = np.argsort(places, kind="stable")
    sorted_rows = read(np.ascontiguousarray(keys[order]))
    rows: FloatArray = np.empty_like(sorted_rows)
    rows[order] = sorted_rows
    return rows


def _unpack(ivf: Any, places: IdArray) -> FloatArray:
    """The vectors at rising ``list << 32 | offset`` of 4-bit codes that lie in blocks."""
    import faiss

    packer = ivf.get_CodePacker()
    codes = np.empty((len(places), packer.code_size), dtype=np.uint8)
    lists = places >> 32
    starts = np.flatnonzero(np.diff(lists, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(places)], strict=True):
        blocks = ivf.invlists.get_codes(int(lists[start]))
        for i in range(start, end):
            offset = int(places[i] & 0xFFFFFFFF)
            packer.unpack_1_c(blocks, offset, faiss.swig_ptr(codes[i]))
    rows: FloatArray = ivf.pq.decode(codes)
    if ivf.by_residual:
        rows += faiss.downcast_index(ivf.quantizer).reconstruct_batch(lists)
    return rows


def _unknown(ids: IdArray) -> UnknownId:
    return UnknownId("the index has no such id", value=ids.tolist()[:10])
