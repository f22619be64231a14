"""Where the inverted lists of an index lie: in memory that faiss owns, or in the mapped file."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_back.types import IdArray


@dataclass(frozen=True, slots=True)
class InvertedLists:
    """``sizes``: vectors of each list; ``codes`` and ``ids``: addresses; ``(lists,)`` int64 each.

    Addresses are those of bytes, aligned or not, and 0 where an empty list has none; ``kept``: what
    owns them.
    """

    sizes: IdArray
    codes: IdArray
    ids: IdArray
    kept: Any

    @classmethod
    def of(cls, ivf: Any, owner: Any) -> InvertedLists:
        """Those that faiss holds; nothing may be added to them meanwhile.

        ``owner``: the index that was read or made, as what is cast from it does not keep it.
        """
        import faiss

        lists: Any = faiss.downcast_InvertedLists(ivf.invlists)
        every = range(int(ivf.nlist))
        return cls(
            sizes=np.array([lists.list_size(i) for i in every], dtype=np.int64),
            codes=addresses(lists.get_codes(i) for i in every),
            ids=addresses(lists.get_ids(i) for i in every),
            kept=owner,
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def ids_in(self, number: int) -> IdArray:
        """The ids of one list: ``(n,)`` int64, not to be written to."""
        size = int(self.sizes[number])
        if not size:
            return np.empty(0, dtype=np.int64)
        memory: Any = (ctypes.c_char * (8 * size)).from_address(int(self.ids[number]))
        return np.frombuffer(memory, dtype=np.int64)

    def all_ids(self) -> IdArray:
        """List after list: ``(n,)`` int64, a copy."""
        parts = [self.ids_in(i) for i in range(len(self))]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def addresses(pointers: Iterable[Any]) -> IdArray:
    """0 of what an empty list has none of."""
    return np.array([int(pointer or 0) for pointer in pointers], dtype=np.int64)
