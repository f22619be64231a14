"""A store whose rows lie in another order, seen under the ids everyone else uses.

Rows in the order of an IVF index's lists are found close together on disk, because the hits of one
query come from a few lists.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from search_back.errors import CorruptFile, UnknownId
from search_back.metadata.base import ColumnStore
from search_back.types import IdArray


class OrderedStore(ColumnStore):
    """``take(ids)`` is ``inner.take(old_to_new[ids])``; an id out of range is never mapped.

    ``old_to_new``: ``(n,)`` int64, where row i lies in ``inner``; a memory map will do. Owns
    ``inner`` and closes it. ``name``: of the file that holds the map, for messages; raises
    ``CorruptFile`` with both names where map and rows differ in length, or the map points
    outside the rows.
    """

    def __init__(self, inner: ColumnStore, old_to_new: IdArray, *, name: str) -> None:
        if len(old_to_new) != len(inner):
            raise CorruptFile(
                f"{name} has {len(old_to_new)} places for the {len(inner)} rows of {inner}",
                remedy="restore the two files that belong together, or delete both",
            )
        super().__init__(name, inner.schema, len(inner))
        self.inner = inner
        self._old_to_new = old_to_new

    def _take(self, ids: IdArray, names: list[str]) -> pa.Table:
        places = np.asarray(self._old_to_new[ids])
        try:
            return self.inner.take(places, names)
        except UnknownId as error:
            raise CorruptFile(
                f"{self._name} points outside the {self._rows} rows of {self.inner}",
                value=error.value,
                remedy="restore the two files that belong together, or delete both",
            ) from error

    def verify(self) -> None:
        """As the inner store does; and that every row has one place."""
        self.inner.verify()
        seen = np.zeros(self._rows, bool)
        places = np.asarray(self._old_to_new)
        seen[places[(places >= 0) & (places < self._rows)]] = True
        if not seen.all():
            raise CorruptFile(
                f"{self._name} does not give every row a place of its own",
                value=f"{int((~seen).sum())} places missing",
                remedy="restore it together with the rows, or delete both",
            )

    def close(self) -> None:
        super().close()
        self.inner.close()
        self._old_to_new = np.empty(0, np.int64)


def read_mapping(path: Path) -> IdArray:
    """An older server's ``ivf_old_to_new_mapping.npy``, mapped: raw int64, without a header.

    A file with the header of numpy is read as what it is. Raises ``CorruptFile`` for one that is
    not a whole number of int64.
    """
    with open(path, "rb") as handle:
        header = handle.read(6) == b"\x93NUMPY"
    size = path.stat().st_size
    if not size:
        return np.empty(0, np.int64)
    try:
        mapping = np.load(path, mmap_mode="r") if header else np.memmap(path, "<i8", mode="r")
    except ValueError as error:
        raise _bad_mapping(path, size) from error
    if mapping.ndim != 1 or mapping.dtype != np.int64:
        raise _bad_mapping(path, size)
    result: IdArray = mapping
    return result


def _bad_mapping(path: Path, size: int) -> CorruptFile:
    return CorruptFile(
        f"{path} is not a list of 64-bit integers",
        value=f"{size} bytes",
        remedy="restore it, or delete it together with the reordered metadata",
    )
