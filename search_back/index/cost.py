"""What a search among the rows of a mask costs, before it is made."""

from __future__ import annotations

from typing import Any, Final

from search_back.index.plan import SearchSettings

# In bytes of codes that are read one after another; ``benchmarks/filters.py`` measures the times.
_RANDOM_READ: Final = 3_000  # a candidate that is scored again
_TEST: Final = 20  # asking a mask whether it has a row
_VISIT: Final = 20_000  # a candidate that a graph keeps, whose neighbours are looked at


def search_bytes(index: Any, settings: SearchSettings, k: int, *, share: float) -> float:
    """The cost of k results, in bytes of codes that are read one after another.

    ``share``: of the rows, those that may be found; the codes of others are read only where
    many are compared at once.
    """
    import faiss

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return search_bytes(index.index, settings, k, share=share)
    if isinstance(index, faiss.IndexRefine):
        candidates = int(k * (settings.k_factor or float(index.k_factor)))
        inner = search_bytes(index.base_index, settings, candidates, share=share)
        return inner + candidates * _RANDOM_READ
    if isinstance(index, faiss.IndexHNSW):
        kept = max(settings.ef_search or int(index.hnsw.efSearch), round(k / share))
        return float(kept * _VISIT)
    looked_at = 1.0
    if isinstance(index, faiss.IndexIVF):
        looked_at = (settings.nprobe or int(index.nprobe)) / int(index.nlist)
    at_once = isinstance(index, faiss.IndexIVFFastScan)
    row = int(index.code_size) if at_once else _TEST + share * int(index.code_size)
    return looked_at * int(index.ntotal) * row
