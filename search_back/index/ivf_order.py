"""The order in which an inverted file stores its vectors."""

from __future__ import annotations

import numpy as np

from search_back.errors import ConfigError
from search_back.index.faiss_index import FaissIndex
from search_back.types import IdArray


def ivf_order(index: FaissIndex) -> IdArray:
    """Ids in the order of the inverted lists: ``(n,)`` int64, a permutation of 0 … n - 1.

    Hits of one query come from few lists, so metadata laid out in this order is read from few
    places. Raises ``ConfigError`` for an index that is no inverted file.
    """
    lists = index.inverted_lists
    if lists is None:
        raise ConfigError(
            "reorder_metadata_by_ivf_index needs an IVF index",
            value=index.kind,
            remedy="turn the option off for this index, or build it as IVF",
        )
    order = lists.all_ids()
    if index.renumbers or not np.array_equal(np.sort(order), np.arange(len(index))):
        raise ConfigError(
            "this index numbers its vectors by itself, so metadata cannot follow its lists",
            value=index.kind,
            remedy="turn reorder_metadata_by_ivf_index off for this index",
        )
    return order
