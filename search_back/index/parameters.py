"""faiss's parameters of one call, for an index inside its wrappers."""

from __future__ import annotations

import math
from typing import Any

from search_back.index.coarse import quantiser_parameters
from search_back.index.plan import SearchSettings


def call_parameters(
    index: Any, k: int, settings: SearchSettings, *, breadth: int, selector: Any = None
) -> Any:
    """What ``index.search(…, params=…)`` takes for ``k`` results; None where it takes none.

    ``breadth``: results among which the k would be found if all ids could be; a graph keeps so
    many candidates. ``selector``: a faiss ``IDSelector``, which must outlive the call.
    """
    faiss = _library()

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        inner = call_parameters(index.index, k, settings, breadth=breadth, selector=selector)
        return faiss.SearchParametersPreTransform(index_params=inner) if inner else None
    if isinstance(index, faiss.IndexRefine):
        k_factor = candidates_per_result(index, k, settings)
        inner = call_parameters(
            index.base_index,
            math.ceil(k * k_factor),
            settings,
            breadth=breadth,
            selector=selector,
        )
        return faiss.IndexRefineSearchParameters(k_factor=k_factor, base_index_params=inner)
    if isinstance(index, faiss.IndexIVF):
        nprobe = lists_visited(index, settings, breadth)
        return faiss.SearchParametersIVF(
            nprobe=nprobe, sel=selector, quantizer_params=quantiser_parameters(index, nprobe)
        )
    if isinstance(index, faiss.IndexHNSW):
        ef = max(settings.ef_search or int(index.hnsw.efSearch), breadth, k)
        return faiss.SearchParametersHNSW(efSearch=int(min(ef, index.ntotal)), sel=selector)
    return faiss.SearchParameters(sel=selector) if selector is not None else None


def candidates_per_result(index: Any, k: int, settings: SearchSettings) -> float:
    """Of a refining index."""
    return min(settings.k_factor or float(index.k_factor), max(1.0, int(index.ntotal) / k))


def lists_visited(ivf: Any, settings: SearchSettings, breadth: int) -> int:
    nprobe = max(settings.nprobe or int(ivf.nprobe), least_nprobe(ivf, breadth))
    return min(nprobe, int(ivf.nlist))


def takes_selector(index: Any) -> bool:
    """Whether faiss can leave ids out while it searches that kind of index."""
    import faiss

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return takes_selector(index.index)
    if isinstance(index, faiss.IndexRefine):
        return takes_selector(index.base_index)
    return isinstance(
        index, faiss.IndexIVF | faiss.IndexHNSW | faiss.IndexFlat | faiss.IndexScalarQuantizer
    )


def graph_of(index: Any) -> Any | None:
    """The HNSW graph inside, or None."""
    import faiss

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return graph_of(index.index)
    if isinstance(index, faiss.IndexRefine):
        return graph_of(index.base_index)
    return index if isinstance(index, faiss.IndexHNSW) else None


def least_nprobe(ivf: Any, breadth: int) -> int:
    """So many lists that they hold twice the results, whatever was tuned."""
    return int(min(ivf.nlist, math.ceil(2 * breadth * ivf.nlist / max(1, ivf.ntotal))))


def _library() -> Any:
    """faiss without its type stubs, which do not know the parameters of calls."""
    import faiss

    return faiss
