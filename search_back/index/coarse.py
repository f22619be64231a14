"""Which inverted lists a query visits: a search among their centres, by short codes first.

A million vectors lie in thousands of lists. To compare a query with 16,384 centres in full took ten
times as long as to find twice as many as are wanted by 4-bit codes, and then to compare those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from search_back.index.centres import centres
from search_back.types import FloatArray

CODED_FROM: Final = 1_024  # lists; fewer centres are compared in full as fast
TWO_LEVELS_FROM: Final = 8_192  # lists; plain k-means places fewer better, in bearable time
SCORED_PER_LIST: Final = 2.0  # a list visited; 0.97 of the nearest lists are among these
SCORED_BEYOND: Final = 1 / 8  # of all lists, at most: of many lists visited the last matter little
SCORED_TO_ADD: Final = 8.0  # for the one list of a vector that is added: nearly all get the nearest
ROUNDS: Final = 6  # of k-means; four more moved centres closer to other vectors by 0.002


def quantiser(lists: int, dimension: int) -> str:
    """What follows ``IVF{lists}`` in a factory string; nothing: compare with every centre."""
    if lists < CODED_FROM or dimension % 2:
        return ""
    return f"(PQ{dimension // 2}x4fs,RFlat)"


def prepare(ivf: Any) -> None:
    """Let an empty inverted file be trained in bounded time, and its vectors find their lists."""
    import faiss

    ivf.cp.niter = ROUNDS
    centres = faiss.downcast_index(ivf.quantizer)
    if isinstance(centres, faiss.IndexRefine):
        centres.k_factor = SCORED_TO_ADD


def place_centres(
    index: Any, rows: FloatArray, *, advance: Callable[[int], None] = lambda rows: None
) -> None:
    """Train the centres, and what transforms rows before they are compared, on all threads.

    ``rows``: ``(n, d)`` unit rows; faiss raises ``RuntimeError`` where they are fewer than lists.
    ``advance``: told how many more rows are done with, where there are very many lists.
    """
    faiss = _library()

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        for i in range(index.chain.size()):
            step = faiss.downcast_VectorTransform(index.chain.at(i))
            step.train(rows)
            rows = step.apply(rows)
        place_centres(index.index, rows, advance=advance)
    elif isinstance(index, faiss.IndexRefine):
        place_centres(index.base_index, rows, advance=advance)
    elif isinstance(index, faiss.IndexIVF):
        coded = isinstance(faiss.downcast_index(index.quantizer), faiss.IndexRefine)
        if coded and TWO_LEVELS_FROM <= index.nlist <= len(rows):
            placed = centres(rows, int(index.nlist), advance=advance)
            index.quantizer.train(placed)
            index.quantizer.add(placed)
        else:
            index.train_q1(len(rows), faiss.swig_ptr(rows), False, index.metric_type)


def bytes_of_centres(lists: int, dimension: int) -> int:
    """What the centres take, with the codes of them if there are any."""
    return lists * (4 * dimension + (dimension // 4 if quantiser(lists, dimension) else 0))


def quantiser_parameters(ivf: Any, nprobe: int) -> Any:
    """What finds ``nprobe`` lists among the centres; None where they are compared in full."""
    faiss = _library()

    if not isinstance(faiss.downcast_index(ivf.quantizer), faiss.IndexRefine):
        return None
    factor = max(1.0, enough_centres(int(ivf.nlist), nprobe) / nprobe)
    return faiss.IndexRefineSearchParameters(k_factor=factor)


def enough_centres(lists: int, nprobe: int) -> int:
    """Centres to be compared in full, to find ``nprobe`` of so many lists by their codes."""
    # All lists must be found when all are asked for, and there are no more than all.
    return round(min(SCORED_PER_LIST * nprobe, nprobe + SCORED_BEYOND * lists, lists))


def centres_scored(ivf: Any, nprobe: int) -> int:
    """Centres that a query is compared with one by one, in full."""
    faiss = _library()

    coded = isinstance(faiss.downcast_index(ivf.quantizer), faiss.IndexRefine)
    return enough_centres(int(ivf.nlist), nprobe) if coded else 0


def _library() -> Any:
    """faiss without its type stubs, which lack what is called here."""
    import faiss

    return faiss
