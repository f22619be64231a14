"""Lists of 4-bit codes as compiled code reads them."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_back.index.inverted_lists import InvertedLists
from search_back.kernels import Lists, library
from search_back.types import FloatArray, IdArray, IdMask


class CodedLists:
    """Lists of 4-bit codes and the rows that they stand for, as lists.c reads them.

    ``steps``: see ``steps_of``, of bytes; ``kept``: what must outlive this besides.
    """

    def __init__(
        self,
        pq: Any,
        lists: InvertedLists,
        rows: NDArray[Any],
        *,
        steps: tuple[FloatArray, FloatArray] | None,
        kept: Any = None,
    ) -> None:
        import faiss

        compiled = library()
        assert compiled is not None
        self._search = compiled.lists_search
        codebook = faiss.vector_to_array(pq.centroids).astype(np.float32)
        scale, least = steps or (None, None)
        self.rows = len(rows)
        self._kept = (lists, rows, codebook, scale, least, kept)
        self._lists = Lists(
            codes=lists.codes.ctypes.data,
            ids=lists.ids.ctypes.data,
            sizes=lists.sizes.ctypes.data,
            codebook=codebook.ctypes.data,
            rows=rows.ctypes.data,
            scale=None if scale is None else scale.ctypes.data,
            least=None if least is None else least.ctypes.data,
            list_count=len(lists),
            row_count=len(rows),
            parts=int(pq.M),
            dimension=int(pq.d),
            row_width=rows.itemsize,
        )

    def search(
        self,
        queries: FloatArray,
        visit: IdArray,
        near: FloatArray,
        k: int,
        *,
        candidates: int,
        again: bool = True,
        among: IdMask | None = None,
    ) -> tuple[FloatArray, IdArray]:
        """``visit`` and ``near``: the lists of each query, and what their rows score at least."""
        scores = np.empty((len(queries), k), dtype=np.float32)
        ids = np.empty((len(queries), k), dtype=np.int64)
        compared: int = self._search(
            ctypes.addressof(self._lists),
            queries.ctypes.data,
            len(queries),
            visit.ctypes.data,
            near.ctypes.data,
            visit.shape[1],
            None if among is None else among.bits.ctypes.data,
            0 if among is None else among.bits.nbytes,
            candidates,
            again,
            k,
            scores.ctypes.data,
            ids.ctypes.data,
        )
        if compared < 0:
            raise MemoryError("a search in lists found no memory")
        return scores, ids
