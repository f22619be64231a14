"""Comparing a query with given rows of an index, whichever they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_back.index.exact import Nearest
from search_back.index.stored import StoredVectors
from search_back.types import FloatArray, IdArray

_BLOCK_BYTES: Final = 1 << 18  # of copied rows, which stay in the processor's caches
# What a row costs beyond its bytes, in bytes of codes that a search reads one after another.
_COPIED_ROW: Final = 2_000
_DECODED_ROW: Final = 12_000
_BLOCKS: Final = 64  # whose best are put in order at once
_Scorer = Callable[[IdArray], tuple[FloatArray, IdArray]]


class Scan:
    """The nearest among given rows, as exact as an index keeps its vectors.

    Where rows lie one after another in one array, those wanted are copied as they are and faiss
    compares them: ten times as fast as decoding half-precision rows first. Several threads may
    scan at once.
    """

    def __init__(self, index: Any, stored: StoredVectors) -> None:
        self._index = index
        self._stored = stored

    def bytes(self, rows: int) -> int:
        """What so many rows cost, in bytes of codes that a search reads one after another."""
        beside = _DECODED_ROW if self._flat is None else _COPIED_ROW
        return rows * (self._row_bytes + beside)

    def nearest(self, queries: FloatArray, k: int, places: IdArray) -> tuple[FloatArray, IdArray]:
        """Inner products and places, ``(n, k)``, falling; padded with -1.

        ``places``: where the rows lie, each once, rising.
        """
        best = Nearest(len(queries), k)
        step = max(1, _BLOCK_BYTES // self._row_bytes)
        score = self._decoded(queries) if self._flat is None else self._copied(queries, k)
        for start in range(0, len(places), step * _BLOCKS):
            part = places[start : start + step * _BLOCKS]
            found = [score(part[i : i + step]) for i in range(0, len(part), step)]
            scores, ids = (np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True))
            best.see(scores, ids)
        return best.scores, best.ids

    def _copied(self, queries: FloatArray, k: int) -> _Scorer:
        block, codes = _without_rows(self._flat), self._codes

        def score(places: IdArray) -> tuple[FloatArray, IdArray]:
            block.reset()
            block.add_sa_codes(codes.take(places, axis=0))
            scores, at = block.search(queries, min(k, len(places)))
            return scores, places[at]

        return score

    def _decoded(self, queries: FloatArray) -> _Scorer:
        def score(places: IdArray) -> tuple[FloatArray, IdArray]:
            scores = queries @ self._stored.take(places).T
            return scores, np.broadcast_to(places, scores.shape)

        return score

    @cached_property
    def _row_bytes(self) -> int:
        return 4 * int(self._index.d) if self._flat is None else int(self._flat.code_size)

    @cached_property
    def _flat(self) -> Any | None:
        """The part of the index that keeps whole vectors, if it is an array of them."""
        import faiss

        index = faiss.downcast_index(self._index)
        while isinstance(index, faiss.IndexRefine | faiss.IndexHNSW):
            inner = index.refine_index if isinstance(index, faiss.IndexRefine) else index.storage
            index = faiss.downcast_index(inner)
        return index if isinstance(index, faiss.IndexFlat | faiss.IndexScalarQuantizer) else None

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        import faiss

        flat = self._flat
        assert flat is not None
        # Of the owner's memory: the index outlives what looks at it.
        codes: NDArray[np.uint8] = faiss.rev_swig_ptr(flat.codes.data(), flat.codes.size())
        return codes.reshape(-1, flat.code_size)


def _without_rows(flat: Any) -> Any:
    """An empty index of the same codes, which answers in inner products."""
    import faiss

    if isinstance(flat, faiss.IndexFlat):
        return faiss.IndexFlat(flat.d, faiss.METRIC_INNER_PRODUCT)
    empty: Any = faiss.IndexScalarQuantizer(flat.d, flat.sq.qtype, faiss.METRIC_INNER_PRODUCT)
    empty.sq = flat.sq
    empty.is_trained = True
    return empty
