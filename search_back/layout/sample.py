"""Some ids of many."""

from __future__ import annotations

import numpy as np

from search_back.types import IdArray

SEED = 0


def sample_ids(total: int, count: int) -> IdArray:
    """``count`` of the ids ``0 … total - 1``, rising, each as likely; the same ones every time.

    All where there are no more. Takes time and memory for ``count``, not for ``total``, as long as
    that is fifty times as many.
    """
    if count >= total:
        return np.arange(total, dtype=np.int64)
    found: IdArray = np.random.default_rng(SEED).choice(total, count, replace=False, shuffle=False)
    return np.sort(found)
