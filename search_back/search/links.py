"""Which rows are near each other: groups of links, found without computing every pair.

A link is a pair of rows whose inner product is at least a threshold. Computing all pairs of
10,000 rows of 512 dimensions takes half a second of one core. Here most of them are left out,
and the groups are still those of all links:

- what a few leading rows gather is in one group already, so heavy duplicates vanish at once;
- of the other pairs nearly all are excluded by an upper bound in few dimensions
  (:mod:`~search_back.search.shadows`), where the rows are such that there is one;
- what float32 cannot decide is computed in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from search_back.search.disjoint import DisjointSets
from search_back.search.shadows import basis, shadows
from search_back.types import FloatArray, IdArray

TILE = 512  # rows; a tile of similarities stays in the processor's cache
PAIRS = 1024  # computed one by one at a time
FEW = 0.01  # of a tile's pairs: up to there they are computed one by one, which costs less
ROUNDING = 1e-4  # more than float32 gets wrong in the inner product of two unit rows
LEADERS = 32
WORTH = 16  # rows that a leader must gather, on average, for the next leaders to be asked
SPAN = 16384  # rows that leaders are compared with at a time
WIDTHS = (63, 127, 255)  # of shadows, to be tried in this order
SAMPLE = 1024  # rows that tell what a shadow excludes


Part = IdArray | slice


class Links:
    """Finds the links between ``(n, d)`` float32 rows, of at most unit length, and their groups.

    ``groups`` grows by :meth:`gather` and is complete after :meth:`find`. Beside the rows it
    needs memory for a few tiles, one shadow of the rows and, where many were gathered, a copy of
    them. For one thread.
    """

    def __init__(self, rows: FloatArray, threshold: float) -> None:
        self.groups = DisjointSets(len(rows))
        self._rows = rows
        self._numbers = np.arange(len(rows))  # of ``_rows``, as the groups know them
        self._threshold = threshold
        self._bounds = np.empty((TILE, TILE), dtype=np.float32)

    def gather(self) -> None:
        """Join whatever is linked to some leaders, as long as they gather many.

        Leaders are the first rows that no leader has gathered yet. Then the rows are sorted by
        group, so that a large group fills tiles of its own.
        """
        free = np.ones(len(self._rows), dtype=np.bool_)
        worth = True
        while worth and (leaders := np.flatnonzero(free)[:LEADERS]).size:
            for start in range(0, len(free), SPAN):
                self._compare(leaders, slice(start, start + SPAN))
            before = np.count_nonzero(free)
            free &= ~np.isin(self.groups.first, self.groups.first[leaders])
            worth = before - np.count_nonzero(free) >= WORTH * len(leaders)
        if np.count_nonzero(free) < len(free) - WORTH * LEADERS:
            self._numbers = np.argsort(self.groups.first, kind="stable")
            self._rows = self._rows[self._numbers]

    def find(self) -> None:
        """Join the groups of all linked rows."""
        shadow = self._shadow()
        for rows, columns in _tiles(len(self._rows)):
            first = self.groups.first[self._numbers[rows]]
            others = self.groups.first[self._numbers[columns]]
            if (first == first[0]).all() and (others == first[0]).all():
                continue
            if shadow is None:
                self._compare(rows, columns)
            else:
                self._compare_few(rows, columns, shadow)

    def _compare(self, rows: Part, columns: slice) -> None:
        """Compute all pairs of some rows and columns."""
        left, right = self._rows[rows], self._rows[columns]
        similarities = left @ right.T
        close = similarities >= self._threshold - ROUNDING
        if not close.any():
            return
        close &= self._apart(rows, columns)
        sure = close & (similarities >= self._threshold + ROUNDING)
        self._join(sure, rows, columns)
        close &= ~sure
        if np.count_nonzero(close) <= FEW * close.size:
            self._compare_pairs(close, rows, columns)
        else:
            exact = left.astype(np.float64) @ right.T.astype(np.float64)
            self._join(exact >= self._threshold, rows, columns)

    def _compare_few(self, rows: slice, columns: slice, shadow: FloatArray) -> None:
        """Compute the pairs of a tile that the shadow does not exclude."""
        left, right = shadow[rows], shadow[columns]
        bounds = np.matmul(left, right.T, out=self._bounds[: len(left), : len(right)])
        near = bounds >= self._threshold - ROUNDING
        if np.count_nonzero(near) > FEW * near.size:
            near &= self._apart(rows, columns)
            if np.count_nonzero(near) > FEW * near.size:
                self._compare(rows, columns)
                return
        self._compare_pairs(near, rows, columns)

    def _compare_pairs(self, chosen: NDArray[np.bool_], rows: Part, columns: slice) -> None:
        """Compute the pairs chosen of some rows and columns, one by one."""
        left, right = self._rows[rows], self._rows[columns]
        a_numbers, b_numbers = self._numbers[rows], self._numbers[columns]
        pairs = np.flatnonzero(chosen)
        for start in range(0, len(pairs), PAIRS):
            a, b = np.divmod(pairs[start : start + PAIRS], len(right))
            apart = self.groups.first[a_numbers[a]] != self.groups.first[b_numbers[b]]
            a, b = a[apart], b[apart]
            similarities = np.einsum("ij,ij->i", left[a], right[b])
            linked = similarities >= self._threshold
            unsure = np.flatnonzero(np.abs(similarities - self._threshold) < ROUNDING)
            some, others = left[a[unsure]], right[b[unsure]]
            exact = np.einsum("ij,ij->i", some, others, dtype=np.float64)
            linked[unsure] = exact >= self._threshold
            self.groups.join(a_numbers[a[linked]], b_numbers[b[linked]])

    def _join(self, linked: NDArray[np.bool_], rows: Part, columns: slice) -> None:
        a, b = np.divmod(np.flatnonzero(linked), linked.shape[1])
        self.groups.join(self._numbers[rows][a], self._numbers[columns][b])

    def _apart(self, rows: Part, columns: Part) -> NDArray[np.bool_]:
        """``(rows, columns)``: where the two are not of one group yet."""
        first, others = (
            self.groups.first[self._numbers[part]].astype(np.int32) for part in (rows, columns)
        )
        result: NDArray[np.bool_] = first[:, None] != others
        return result

    def _shadow(self) -> FloatArray | None:
        """A shadow that excludes all but few pairs of different groups; None: there is none."""
        n, d = self._rows.shape
        if n < 2 * SAMPLE:
            return None
        sample = np.arange(0, n, n // SAMPLE)
        apart = self._apart(sample, sample)
        for width in WIDTHS:
            if width >= d // 2:
                break
            axes = basis(self._rows[:: n // (2 * SAMPLE)], width)
            some = shadows(self._rows[sample], axes)
            near = apart & (some @ some.T >= self._threshold - ROUNDING)
            if np.count_nonzero(near) <= FEW / 2 * near.size:
                return shadows(self._rows, axes)
        return None


def _tiles(n: int) -> Iterator[tuple[slice, slice]]:
    """Pairs of blocks of rows, each once."""
    blocks = [slice(start, start + TILE) for start in range(0, n, TILE)]
    for i, rows in enumerate(blocks):
        for columns in blocks[i:]:
            yield rows, columns
