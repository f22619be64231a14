"""Results in groups of one value: by site, by author, by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search_back.search.codes import codes
from search_back.types import IdArray

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Hits of the best groups, group after group.

    ``positions``: ``(m,)`` int64, of the hits kept among the candidates, rising within a group;
    ``numbers``: ``(m,)`` int64, the group of each: 0, 1, … in the order of their best hits;
    ``totals``: ``(groups,)`` int64, how many candidates each group has, kept or not.
    """

    positions: IdArray
    numbers: IdArray
    totals: IdArray

    def __len__(self) -> int:
        return len(self.totals)


def group(values: pa.Array | pa.ChunkedArray, *, per_group: int, k: int) -> Groups:
    """The ``k`` best groups of ``(n,)`` values, best first, with up to ``per_group`` hits each.

    A missing value (null or NaN) says nothing of what belongs together, so each is a group of its
    own. Raises ``InputError`` for a type whose values cannot be compared.
    """
    numbers = codes(values)
    missing = numbers < 0
    numbers[missing] = numbers.max(initial=-1) + 1 + np.arange(np.count_nonzero(missing))
    _, first, group_of, counts = np.unique(
        numbers, return_index=True, return_inverse=True, return_counts=True
    )
    best = np.argsort(first)
    place = np.empty(len(best), dtype=np.int64)
    place[best] = np.arange(len(best))
    group_of = place[group_of]
    by_group = np.argsort(group_of, kind="stable")
    totals = counts[best]
    rank = np.arange(len(by_group)) - np.repeat(np.cumsum(totals) - totals, totals)
    positions = by_group[(rank < per_group) & (group_of[by_group] < k)]
    return Groups(
        positions.astype(np.int64, copy=False),
        group_of[positions],
        totals[: max(0, k)].astype(np.int64, copy=False),
    )
