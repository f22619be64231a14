"""Reading an index whose lists stay in its file.

faiss maps vectors, but reads lists of packed 4-bit codes into memory, of each process anew: 136
bytes for each vector of 512 dimensions. Here it reads them as empty, and compiled code searches
those in the file.
"""

from __future__ import annotations

import struct
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_back.errors import CorruptFile
from search_back.index.inverted_lists import InvertedLists

# As faiss writes them (its impl/index_write.cpp, invlists/BlockInvertedLists.cpp): of each index a
# name, its dimension, vectors, two unused numbers, whether it is trained, and its metric; of a
# refining one the other two indices follow, then a float. An inverted file goes on with how many
# lists it has. Lists begin with a name and four numbers; then each has two arrays, of ids and of
# codes, that begin with their length.
_HEADER: Final = struct.Struct("<4siqqq?i")
_LISTS: Final = struct.Struct("<4sQQQQ")
_NUMBER: Final = struct.Struct("<Q")
_FACTOR: Final = struct.Struct("<f")
_REFINING: Final = b"IxRF"
_FAST_SCAN: Final = b"IwPf"
_BLOCKS: Final = b"ilbl"
_BLOCK: Final = 32  # vectors
_ID_BYTES: Final = 8
_ANY_CODE: Final = 2**64 - 1  # the size of a code, where blocks say more
_LIST_BYTES: Final = 2 * _NUMBER.size  # of an empty one


def read_mapped(path: Path) -> tuple[Any, InvertedLists] | None:
    """An index that refines what a fast scan finds, with empty lists, and the lists themselves.

    None where the file holds no such index. faiss must not search in that index. Raises
    ``CorruptFile`` where the lists are damaged, and what faiss raises where another part is.
    """
    import faiss

    raw: Any = faiss
    if path.stat().st_size < 2 * _HEADER.size + _NUMBER.size:
        return None
    with path.open("rb") as opened:
        file = mmap(opened.fileno(), 0, access=ACCESS_READ)
        begin = _begin(file)
        if begin is None:
            return None
        found = _lists(file, begin)
        if found is None:
            raise _damaged(path, "they do not end where they should")
        lists, behind = found
        first = begin + _LISTS.size
        end = first + _LIST_BYTES * len(lists)
        # What is written here goes to no file; only these pages become memory of the process.
        emptied = mmap(opened.fileno(), end, access=ACCESS_COPY)
    emptied[first:end] = bytes(end - first)
    parts = (
        np.frombuffer(emptied, dtype=np.uint8)[_HEADER.size :],
        np.frombuffer(file, dtype=np.uint8)[behind : -_FACTOR.size],
    )
    base, refining = (raw.read_index(_reader(part)) for part in parts)
    counts = (int(base.ntotal), int(lists.sizes.sum()), int(refining.ntotal))
    if len(set(counts)) > 1:
        raise _damaged(path, f"vectors of the index, its lists, and what refines: {counts}")
    index = raw.IndexRefine(base, refining)
    (index.k_factor,) = _FACTOR.unpack_from(file, len(file) - _FACTOR.size)
    index.referenced_objects = [base, refining, *parts]
    return index, lists


def _reader(part: NDArray[np.uint8]) -> Any:
    """Gives faiss the addresses of what it would copy."""
    import faiss

    raw: Any = faiss
    return raw.ZeroCopyIOReader(raw.swig_ptr(part), len(part))


def _begin(file: mmap) -> int | None:
    """Where the lists begin, behind the centres."""
    refining, inverted = (_HEADER.unpack_from(file, at) for at in (0, _HEADER.size))
    if refining[0] != _REFINING or inverted[0] != _FAST_SCAN:
        return None
    (count,) = _NUMBER.unpack_from(file, 2 * _HEADER.size)
    # Nothing says how long the centres are, but no float is like this.
    begin = file.find(_BLOCKS + struct.pack("<QQQ", count, _ANY_CODE, _BLOCK))
    return begin if 0 <= begin <= len(file) - _LISTS.size else None


def _lists(file: mmap, begin: int) -> tuple[InvertedLists, int] | None:
    """And where what follows begins; None where the file ends before."""
    _, count, _, _, block_bytes = _LISTS.unpack_from(file, begin)
    at, end = begin + _LISTS.size, len(file)
    if count > (end - at) // _LIST_BYTES:
        return None
    number = _NUMBER.unpack_from
    sizes, ids, codes = (np.empty(count, dtype=np.int64) for _ in range(3))
    for i in range(count):
        if at + _NUMBER.size > end:
            return None
        (size,) = number(file, at)
        first, at = at + _NUMBER.size, at + _NUMBER.size + _ID_BYTES * size
        if at + _NUMBER.size > end:
            return None
        (length,) = number(file, at)
        if length != -(-size // _BLOCK) * block_bytes:
            return None
        sizes[i], ids[i], codes[i] = size, first, at + _NUMBER.size
        at += _NUMBER.size + length
    if at > end:
        return None
    start = np.frombuffer(file, dtype=np.uint8).ctypes.data
    return InvertedLists(sizes=sizes, codes=start + codes, ids=start + ids, kept=file), at


def _damaged(path: Path, value: str) -> CorruptFile:
    return CorruptFile(
        f"the lists in {path} are damaged",
        value=value,
        remedy="restore the file, or build the index again",
    )
