"""Which kind of index serves a collection within a memory budget."""

from __future__ import annotations

import math
import re

from search_back.errors import ConfigError

FLAT_UP_TO = 20_000
POINTS_PER_LIST = 39  # faiss warns below this many training points a centroid
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_CODES = (256, 192, 128, 96, 64, 48, 32, 24, 16, 8)


def parse_bytes(text: str | int, *, setting: str) -> int:
    """``4G``, ``512MB``, ``1.5g`` or a number → bytes; raises ``ConfigError``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", str(text), re.IGNORECASE)
    if not match or float(match[1]) <= 0:
        raise ConfigError(f"{setting} is not a size", value=text, remedy="write it as 4G or 512M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def choose_factory(count: int, dimension: int, *, memory: int) -> str:
    """A faiss factory string for ``count`` vectors in at most ``memory`` bytes.

    Small collections are searched exactly. Larger ones go into inverted lists, as 8-bit scalars
    where they fit and as product codes where they do not. Raises ``ConfigError`` where even the
    smallest codes do not fit.
    """
    if count <= FLAT_UP_TO and 4 * count * dimension <= memory:
        return "Flat"
    lists = number_of_lists(count)
    table = 4 * lists * dimension
    per_vector = (memory - table) / max(1, count) - 8  # 8: the id
    if per_vector >= dimension:
        return f"IVF{lists},SQ8"
    for code in _CODES:
        if code <= per_vector and dimension % code == 0:
            # np: without polysemous codes, which take minutes to train and are not used here.
            return f"OPQ{code}_{dimension},IVF{lists},PQ{code}x8np"
    raise ConfigError(
        f"{count} vectors of {dimension} dimensions do not fit the memory budget",
        value=f"{memory} bytes",
        remedy="raise --max-index-memory-usage",
    )


def number_of_lists(count: int) -> int:
    """A power of two near ``4 √count``, with enough points for each list to be trained."""
    wanted = 4 * math.sqrt(max(1, count))
    lists: int = 2 ** max(0, round(math.log2(wanted)))
    while lists > 1 and lists * POINTS_PER_LIST > count:
        lists //= 2
    return lists
