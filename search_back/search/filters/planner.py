"""How to search among the rows that pass a filter."""

from __future__ import annotations

from typing import Final, Literal

from search_back.types import IdMask

Plan = Literal["none", "exact", "filtered"]

RECONSTRUCT_COST: Final = 12.0
"""Reading one row by its id and scoring it, in rows scanned in an inverted list.

``benchmarks/filters.py`` measures 7 for float32 and 23 for 8-bit codes, of 512 dimensions.
"""
_FEW: Final = 10
_ENOUGH: Final = 4


def plan(
    mask: IdMask,
    k: int,
    index_size: int,
    *,
    lists: int = 1,
    nprobe: int = 1,
    reconstruct_cost: float = RECONSTRUCT_COST,
) -> Plan:
    """What finds the k nearest rows of a mask best.

    ``none``: nothing passes. ``exact``: score every row that passes, by its id. ``filtered``: let
    the index leave out rows while it searches ``nprobe`` of its ``lists``; an index without lists
    has one.

    Exact where few pass (≤ 10 k), or where it costs no more than the search. Also where the lists
    searched would hold fewer than 4 k passing rows on average, so that the page might not fill;
    unless that costs more than a search of all lists.
    """
    if not mask.count or k <= 0 or not index_size:
        return "none"
    searched = min(1.0, nprobe / lists)
    cost = mask.count * reconstruct_cost
    if mask.count <= _FEW * k or cost <= index_size * searched:
        return "exact"
    too_few = mask.count * searched < _ENOUGH * k
    return "exact" if too_few and cost <= index_size else "filtered"
