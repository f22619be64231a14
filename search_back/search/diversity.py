"""An order of results in which what is alike does not stand together."""

from __future__ import annotations

import numpy as np

from search_back.errors import InvalidField
from search_back.types import FloatArray, IdArray

LIMIT = 1000


def mmr(
    similarities: FloatArray,
    embeddings: FloatArray,
    *,
    diversity: float,
    k: int,
    limit: int = LIMIT,
) -> IdArray:
    """The order of results by maximal marginal relevance: ``(≤ k,)`` int64 positions.

    ``similarities``: ``(n,)`` float32 to the query, falling; ``embeddings``: ``(n, d)`` float32
    unit rows. The first ``limit`` results are candidates. Each place goes to the candidate of the
    highest ``(1 - diversity) * similarity - diversity * (highest cosine to those placed before)``,
    of equals to the earliest; at the first place nothing stands before, so it keeps the best
    result. The results after the candidates keep their order. 0 keeps the whole order.

    Takes ``k`` passes over the candidates. Raises ``InvalidField`` for a diversity outside 0 … 1.

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents
    and producing summaries", SIGIR 1998.
    """
    if not 0 <= diversity <= 1:  # NaN too
        raise InvalidField(
            "diversity", "diversity lies outside 0 … 1", value=diversity, remedy="0 changes nothing"
        )
    order = np.arange(min(k, len(similarities)), dtype=np.int64)
    candidates = min(limit, len(similarities))
    if diversity == 0 or candidates == 0:
        return order
    rows = embeddings[:candidates]
    relevance = similarities[:candidates] * np.float32(1 - diversity)
    alike = np.full(candidates, -np.inf, dtype=np.float32)
    marginal = relevance.copy()
    best = 0
    for place in range(min(len(order), candidates)):
        order[place] = best
        relevance[best] = -np.inf
        np.maximum(alike, rows @ rows[best], out=alike)
        np.multiply(alike, np.float32(-diversity), out=marginal)
        marginal += relevance
        best = int(np.argmax(marginal))
    return order
