"""Groups that grow together as links between rows are found."""

from __future__ import annotations

import numpy as np

from search_back.types import IdArray


class DisjointSets:
    """Groups of the rows ``0 … n - 1``, each row alone at first.

    ``first``: ``(n,)`` int64, for each row the number of the first row of its group. For one
    thread.
    """

    def __init__(self, n: int) -> None:
        self.first: IdArray = np.arange(n, dtype=np.int64)

    def join(self, a: IdArray, b: IdArray) -> None:
        """Make one group of those of row ``a[i]`` and row ``b[i]``, for every i.

        Each round hangs the later of two first rows under the earliest one it is linked to and
        then shortens all ways to one step, so a round costs one pass over the rows.
        """
        while len(a):
            one, other = self.first[a], self.first[b]
            differ = one != other
            a, b, one, other = a[differ], b[differ], one[differ], other[differ]
            np.minimum.at(self.first, np.maximum(one, other), np.minimum(one, other))
            self._shorten()

    def _shorten(self) -> None:
        while True:
            above = self.first[self.first]
            if np.array_equal(above, self.first):
                return
            self.first = above
