"""Drawing a query towards what people rated highly, or poorly."""

from __future__ import annotations

from typing import Final

import numpy as np

from search_back.types import FloatArray
from search_back.vectors import combine

AESTHETIC_SCORE: Final = "aesthetic_score"


def draw_towards(query: FloatArray, rated: FloatArray, weight: float) -> FloatArray:
    """The direction of ``query + weight * rated``: ``(d,)`` float32, a unit vector.

    ``query``: ``(d,)``, a unit vector; ``rated``: ``(d,)``, whose length counts. Raises
    ``InputError`` where the two cancel out.
    """
    pull = weight * float(np.linalg.norm(rated))
    # A weight beyond what float32 holds is all that is left of the sum.
    scale = max(1.0, abs(pull))
    return combine([query, rated], [1 / scale, pull / scale])
