"""Which lists a query visits: compiled code looks through their centres.

Through the codes of all of them; or, for few lists of very many, along links between near centres,
which takes a few hundred comparisons where codes take thousands.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from search_back.index.coarse import enough_centres
from search_back.index.coded_lists import CodedLists, addresses
from search_back.index.graph import CodedRows, Links, rows_of
from search_back.types import FloatArray, IdArray

_BLOCK: Final = 32  # centres whose codes lie together
_CODED_AT_ONCE: Final = 1_024  # centres, which would take as much memory again as floats
_ENTRIES: Final = 256  # centres that a walk begins with: of all regions, as they follow each other
# A walk takes as long as the codes of so many centres for each list that it finds, and as for 32
# lists besides; so much is it sooner done.
_CODES_PER_LIST: Final = 128
_BEGUN_FOR: Final = 32
_EF_PER_LIST: Final = 1.5
_LEAST_EF: Final = 32


def most_walked(lists: int) -> int:
    """Lists that are found sooner along links than by the codes of so many centres."""
    return max(0, lists // _CODES_PER_LIST - _BEGUN_FOR)


class CentreSearch:
    """The centres of the lists, in a byte for each dimension: they fit the processor's caches.

    ``codes``: a fast-scan index of theirs; ``flat``: the centres themselves; ``links``: between
    them, of ``CentreSearch.rows``. Any number of threads may search at once.
    """

    def __init__(self, codes: Any, flat: Any, links: Links | None = None) -> None:
        rows = rows_of(flat)
        least, most = rows.min(axis=0), rows.max(axis=0)
        step = np.maximum((most - least) / np.float32(255), np.finfo(np.float32).tiny)
        coded = np.empty(rows.shape, dtype=np.uint8)
        for first in range(0, len(rows), _CODED_AT_ONCE):
            part = slice(first, first + _CODED_AT_ONCE)
            coded[part] = np.rint((rows[part] - least) / step)
        ids = np.arange(len(rows), dtype=np.int64)
        self._codes = CodedLists(
            codes.pq,
            sizes=np.array([len(rows)], dtype=np.int64),
            codes=addresses([codes.codes.get()]),
            ids=addresses([ids.ctypes.data]),
            rows=coded,
            steps=(step, least),
            kept=(codes, ids),
        )
        self.rows = CodedRows(coded, (step, least), links)
        self._entries = np.linspace(0, len(rows), _ENTRIES, endpoint=False).astype(np.int64)
        self._walked = 0 if links is None else most_walked(len(rows))

    @classmethod
    def of(cls, ivf: Any, links: Links | None = None) -> CentreSearch | None:
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
        return cls(codes, flat, links)

    def walks(self, nprobe: int) -> bool:
        """Whether so few lists are found along links."""
        return nprobe <= self._walked

    def nearest(self, queries: FloatArray, nprobe: int) -> tuple[FloatArray, IdArray]:
        """Similarities and lists, ``(n, nprobe)``, best first."""
        if self.walks(nprobe):
            ef = max(_LEAST_EF, math.ceil(nprobe * _EF_PER_LIST))
            entries = np.tile(self._entries, (len(queries), 1))
            scores, found, _ = self.rows.search(queries, nprobe, ef, entries)
            if found[:, -1].min() >= 0:
                return scores, found
        # All centres are one list.
        visit = np.zeros((len(queries), 1), dtype=np.int64)
        near = np.zeros((len(queries), 1), dtype=np.float32)
        scored = enough_centres(self._codes.rows, nprobe)
        return self._codes.search(queries, visit, near, nprobe, candidates=scored)
