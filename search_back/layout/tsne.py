"""t-SNE by openTSNE: points that are near in the embedding stay near on the map."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from search_back.errors import InvalidField
from search_back.layout.pca import Coordinates

EXTRA: Final = "pip install 'search_back[map]'"
LEAST: Final = 10  # points: fewer have no neighbourhoods to keep
PERPLEXITY: Final = 30.0
SEED: Final = 0
THETA: Final = 0.8  # of the tree: coarser than openTSNE's 0.5, and twice as quick
# Above so many points an approximation on a grid takes less time than one by a tree.
TREE_MOST: Final = 4_000
# Early steps, then those to the end; openTSNE's own are 250 and 500, and cost twice the time.
TREE_STEPS: Final = (150, 300)
GRID_STEPS: Final = (100, 200)
_CHECK_EVERY: Final = 5  # steps


def available() -> bool:
    """Whether the extra is installed."""
    return find_spec("openTSNE") is not None


def tsne(rows: Coordinates, is_over: Callable[[], bool]) -> Coordinates:
    """``(n ≥ LEAST, d)`` principal coordinates in two dimensions, the same for the same rows.

    It starts from the first two, so that the whole keeps their shape (Kobak and Berens, "The art
    of using t-SNE for single-cell transcriptomics", 2019). ``is_over`` is asked every few steps,
    and may raise; once it is true, the points are given as they lie then. Raises
    ``InvalidField`` where the extra is missing.
    """
    if not available():
        raise InvalidField(
            "method", "t-SNE is not installed on this server", value="tsne", remedy=EXTRA
        )
    start = rows[:, :2]
    if not start[:, 0].any():  # all in one place
        return start
    import openTSNE
    from openTSNE import affinity, initialization

    logging.getLogger("openTSNE").setLevel(logging.WARNING)  # it tells whenever it is used
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    neighbours = affinity.PerplexityBasedNN(
        knn_index=_neighbours(rows, int(3 * perplexity)), perplexity=perplexity, n_jobs=1
    )
    by_tree = len(rows) <= TREE_MOST
    early, late = TREE_STEPS if by_tree else GRID_STEPS
    found = openTSNE.TSNEEmbedding(
        initialization.rescale(start, inplace=False),
        neighbours,
        negative_gradient_method="bh" if by_tree else "fft",
        theta=THETA,
        n_jobs=1,  # one request, one core
        random_state=SEED,
        callbacks=lambda *_: is_over(),
        callbacks_every_iters=_CHECK_EVERY,
    )
    found.optimize(early, exaggeration=12, momentum=0.8, inplace=True)
    found.optimize(late, momentum=0.8, inplace=True)
    return np.asarray(found, dtype=np.float64)


def _neighbours(rows: Coordinates, k: int) -> Any:
    """The exact k nearest of each row but itself, as openTSNE takes them."""
    import faiss
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(rows.shape[1])
    points = np.ascontiguousarray(rows, dtype=np.float32)
    index.add(points)
    squares, ids = index.search(points, k + 1)
    own = ids == np.arange(len(rows))[:, None]
    own[~own.any(axis=1), -1] = True  # more than k others in the same place
    distances = np.sqrt(np.maximum(squares[~own], 0)).reshape(-1, k)
    return PrecomputedNeighbors(ids[~own].reshape(-1, k), distances.astype(np.float64))
