"""Which lists a query visits, by compiled code over the codes of their centres."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from search_back.index.coarse import enough_centres
from search_back.index.coded_lists import CodedLists
from search_back.index.graph import rows_of
from search_back.index.inverted_lists import InvertedLists, addresses
from search_back.types import FloatArray, IdArray

_BLOCK: Final = 32  # centres whose codes lie together
_CODED_AT_ONCE: Final = 1_024  # centres, which would take as much memory again as floats


class CentreSearch:
    """The centres of the lists, in a byte for each dimension: they fit the processor's caches.

    ``codes``: a fast-scan index of theirs; ``flat``: the centres themselves. Any number of threads
    may search at once.
    """

    def __init__(self, codes: Any, flat: Any) -> None:
        rows = rows_of(flat)
        least, most = rows.min(axis=0), rows.max(axis=0)
        step = np.maximum((most - least) / np.float32(255), np.finfo(np.float32).tiny)
        coded = np.empty(rows.shape, dtype=np.uint8)
        for first in range(0, len(rows), _CODED_AT_ONCE):
            part = slice(first, first + _CODED_AT_ONCE)
            coded[part] = np.rint((rows[part] - least) / step)
        ids = np.arange(len(rows), dtype=np.int64)
        every = InvertedLists(
            sizes=np.array([len(rows)], dtype=np.int64),
            codes=addresses([codes.codes.get()]),
            ids=addresses([ids.ctypes.data]),
            kept=(codes, ids),
        )
        self._codes = CodedLists(codes.pq, every, coded, steps=(step, least))

    @classmethod
    def of(cls, ivf: Any) -> CentreSearch | None:
        """None where the centres of an inverted file have no codes, or others."""
        import faiss

        centres: Any = faiss.downcast_index(ivf.quantizer)
        if not isinstance(centres, faiss.IndexRefine):
            return None
        codes: Any = faiss.downcast_index(centres.base_index)
        flat: Any = faiss.downcast_index(centres.refine_index)
        known = isinstance(codes, faiss.IndexPQFastScan) and isinstance(flat, faiss.IndexFlat)
        if not known or codes.bbs != _BLOCK or codes.pq.M % 2 or codes.d % codes.pq.M:
            return None
        return cls(codes, flat)

    def nearest(self, queries: FloatArray, nprobe: int) -> tuple[FloatArray, IdArray]:
        """Similarities and lists, ``(n, nprobe)``, best first."""
        # All centres are one list.
        visit = np.zeros((len(queries), 1), dtype=np.int64)
        near = np.zeros((len(queries), 1), dtype=np.float32)
        scored = enough_centres(self._codes.rows, nprobe)
        return self._codes.search(queries, visit, near, nprobe, candidates=scored)
