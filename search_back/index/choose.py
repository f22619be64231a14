"""Which kind of index serves a collection within a memory budget."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from search_back.errors import ConfigError
from search_back.index.coarse import bytes_of_centres, quantiser
from search_back.index.graph import bytes_of_graph

FLAT_UP_TO: Final = 20_000
POINTS_PER_LIST: Final = 60  # codes are compared 32 at a time: two of those
LINKED_FROM: Final = 200_000  # vectors; lists of fewer answer as fast as a graph
SURE_RECALL: Final = 0.98  # above this, 8-bit vectors lose too many of the true neighbours
ID_BYTES: Final = 8
_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_CODES: Final = (256, 192, 128, 96, 64, 48, 32, 24, 16, 8)


@dataclass(frozen=True, slots=True)
class Choice:
    """A faiss factory string, the bytes it takes, and why it was chosen, in one line.

    ``graph``: with a graph of near neighbours beside it.
    """

    factory: str
    bytes: int
    reason: str
    graph: bool = False


def parse_bytes(text: str | int, *, setting: str) -> int:
    """``4G``, ``512MB``, ``1.5g`` or a number → bytes; raises ``ConfigError``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", str(text), re.IGNORECASE)
    if not match or float(match[1]) <= 0:
        raise ConfigError(f"{setting} is not a size", value=text, remedy="write it as 4G or 512M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def choose(
    count: int,
    dimension: int,
    *,
    memory: int,
    build_memory: int,
    recall: float = 0.95,
    graph: bool | None = None,
) -> Choice:
    """The fastest index of ``count`` vectors that fits and can reach a recall.

    ``memory``: bytes that it may take when it serves; ``build_memory``: when it is built, where
    growing arrays are there twice. ``graph``: whether to have one; None: of large collections,
    where it fits. Raises ``ConfigError`` where not even the smallest codes fit.
    """
    limit = min(memory, build_memory // 2)
    linked = count >= LINKED_FROM if graph is None else graph
    for choice in _from_best(count, dimension, recall, linked=linked):
        if graph and not choice.graph:
            continue
        if choice.bytes <= limit:
            return choice
    remedy = "--max-index-memory-usage" if memory <= limit else "--current-memory-available"
    raise ConfigError(
        f"{count} vectors of {dimension} dimensions do not fit the memory budget",
        value=f"{limit} bytes",
        remedy=f"raise {remedy}",
    )


def _from_best(count: int, dimension: int, recall: float, *, linked: bool) -> Iterator[Choice]:
    if count <= FLAT_UP_TO:
        yield Choice("Flat", 4 * count * dimension, "few enough to compare with every one")
    lists = number_of_lists(count)
    inverted = f"IVF{lists}{quantiser(lists, dimension)}"
    table = bytes_of_centres(lists, dimension)
    exact = 2 * dimension

    def choice(factory: str, per_vector: int, reason: str) -> Choice:
        return Choice(factory, table + count * (per_vector + ID_BYTES), reason)

    if dimension % 2 == 0:
        # 4-bit codes of what a list's centre leaves over, compared 32 at a time in registers, of
        # two dimensions each, or of four. At the same recall, half as many codes answered 0.7 to
        # 0.9 times as fast; half-precision vectors as fast as 8-bit ones, in twice the memory.
        many = dimension // 2
        few = dimension // (4 if dimension % 4 == 0 else 2)
        kind, of_row, name = ("SQ8", dimension, "8-bit")
        if recall > SURE_RECALL:
            kind, of_row, name = ("SQfp16", exact, "half-precision")
        refined = [
            choice(
                f"{inverted},PQ{codes}x4fsr,Refine({kind})",
                codes // 2 + of_row,
                f"short codes find candidates, {name} vectors score them{beside}",
            )
            for codes, beside in ((many, ""), (few, "; longer codes do not fit"))
        ]
        if linked:
            yield from (_with_graph(c, count) for c in refined)
        yield from refined
    yield choice(f"{inverted},SQfp16", exact, "half-precision vectors in lists fit")
    yield choice(
        f"{inverted},SQ8", dimension, "8-bit vectors in lists fit, and nothing more exact does"
    )
    for code in _CODES:
        if dimension % code == 0:
            # np: without polysemous codes, which take minutes to train and are not used here.
            yield choice(
                f"OPQ{code}_{dimension},{inverted},PQ{code}x8np",
                code,
                f"only codes of {code} bytes fit: recall may stay below {recall:g}",
            )


def _with_graph(choice: Choice, count: int) -> Choice:
    return Choice(
        choice.factory,
        choice.bytes + bytes_of_graph(count),
        f"{choice.reason}; a graph of neighbours finds a few results",
        graph=True,
    )


def number_of_lists(count: int) -> int:
    """A power of two near ``8 √count``, with enough vectors in each list.

    At recall 0.95 among a million, twice as many lists answered faster still, but took longer to
    train and to fill than the rest of a build together.
    """
    wanted = 8 * math.sqrt(max(1, count))
    lists: int = 2 ** max(0, round(math.log2(wanted)))
    while lists > 1 and lists * POINTS_PER_LIST > count:
        lists //= 2
    return lists
