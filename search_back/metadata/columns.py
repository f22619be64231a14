"""Taking rows of Arrow columns that lie in mapped files.

A file may be damaged, so offsets and codes are checked before they are followed: one flipped bit
would make Arrow read outside the file. And memory is slow, so it is read in a good order.

==============  ==================================================================================
rising ids      as they come
a few           the start of every text is touched first: numpy waits for many misses at once,
                where Arrow, which copies text by text, waits for one after the other
very many       twice: first grouped by where the rows lie, then back in the order asked for;
                each time the rows at hand fit the processor's caches
==============  ==================================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.metadata.layout import is_text, restore
from search_back.types import IdArray

TOUCHED_TO: Final = 2048
GROUPED_FROM: Final = 50_000
_GROUPS: Final = 256
_BLOCK: Final = 1 << 20
_FULL_CHECK: Final = 16


class Damage(ValueError):
    """Offsets or codes that point nowhere; the store adds the file and the column."""


class Column(ABC):
    """One column; ``kind``: the type of what ``take`` gives. Safe for threads."""

    def __init__(self, array: pa.Array, kind: pa.DataType) -> None:
        self.array = array
        self.kind = kind

    @property
    def grouped(self) -> bool:
        """Whether a very large take pays for grouping the rows."""
        return False

    @abstractmethod
    def take(self, ids: IdArray) -> pa.Array:
        """The rows of ids that are known to exist; raises ``Damage``."""


class Fixed(Column):
    """Values of one width: nothing that could be damaged leads anywhere."""

    def take(self, ids: IdArray) -> pa.Array:
        return self.array.take(pa.array(ids))


class Text(Column):
    """Strings or bytes behind offsets.

    Offsets are checked once for all where that is quick, else those of the rows that are taken.
    """

    def __init__(self, array: pa.Array, kind: pa.DataType) -> None:
        super().__init__(array, kind)
        self._offsets = offsets_of(array)
        data = array.buffers()[2]
        self._data = np.frombuffer(data if data is not None else b"", np.uint8)
        self._checked = False

    @property
    def grouped(self) -> bool:
        return True

    def take(self, ids: IdArray) -> pa.Array:
        rows = len(self.array)
        if not self._checked and (rows <= _BLOCK or len(ids) * _FULL_CHECK >= rows):
            check_offsets(self._offsets, len(self._data))
            self._checked = True
        few = len(ids) <= TOUCHED_TO and len(self._data) > 0
        if few or not self._checked:
            starts = self._offsets.take(ids)
            if not self._checked:
                self._check(starts, self._offsets[1:].take(ids))
            if few:
                self._data.take(starts, mode="clip")
        return self.array.take(pa.array(ids))

    def _check(self, starts: NDArray[Any], ends: NDArray[Any]) -> None:
        if len(starts) and (
            starts.min() < 0 or ends.max() > len(self._data) or not (ends >= starts).all()
        ):
            raise Damage("its offsets are not in order")


class Coded(Column):
    """A code a row into a few distinct values."""

    def __init__(self, array: pa.DictionaryArray, kind: pa.DataType) -> None:
        super().__init__(array, kind)
        self._words = column_of(array.dictionary, kind)
        self._checked = False

    def take(self, ids: IdArray) -> pa.Array:
        if not self._checked:
            self._words.take(np.empty(0, np.int64))
            self._checked = True
        codes = self.array.indices.take(pa.array(ids))
        try:
            return restore(self._words.array.take(codes), self.kind)
        except pa.ArrowIndexError as error:
            raise Damage("a code points outside its words") from error


class Nested(Column):
    """Lists, structs and maps; all offsets are checked at the first take."""

    def __init__(self, array: pa.Array, kind: pa.DataType) -> None:
        super().__init__(array, kind)
        self._checked = False

    @property
    def grouped(self) -> bool:
        return True

    def take(self, ids: IdArray) -> pa.Array:
        if not self._checked:
            check_all(self.array)
            self._checked = True
        return restore(self.array.take(pa.array(ids)), self.kind)


def column_of(array: pa.Array, kind: pa.DataType) -> Column:
    """The column that takes from an array; ``kind`` differs where the array stands for maps."""
    if pa.types.is_dictionary(array.type):
        return Coded(array, kind)
    if pa.types.is_nested(array.type):
        return Nested(array, kind)
    return Text(array, kind) if len(array) and is_text(array.type) else Fixed(array, kind)


def take_columns(columns: Mapping[str, Column], ids: IdArray) -> list[pa.Array]:
    """The rows of ids that are known to exist, of each column; raises ``Damage`` with its name."""
    large = len(ids) >= GROUPED_FROM and any(column.grouped for column in columns.values())
    groups = None if not large or bool((ids[1:] >= ids[:-1]).all()) else _group(ids)
    arrays = []
    for name, column in columns.items():
        try:
            if groups is not None and column.grouped:
                near, back = groups
                arrays.append(column.take(near).take(back))
            else:
                arrays.append(column.take(ids))
        except Damage as error:
            raise Damage(f"column {name!r}: {error}") from error
    return arrays


def _group(ids: IdArray) -> tuple[IdArray, pa.Array]:
    """The ids with those of near rows together, and the place where each id of before is now."""
    shift = max(0, int(ids.max()).bit_length() - (_GROUPS - 1).bit_length())
    order = np.argsort((ids >> shift).astype(np.uint8), kind="stable")
    places = np.empty(len(ids), np.int64)
    places[order] = np.arange(len(ids))
    return ids[order], pa.array(places)


def offsets_of(array: pa.Array) -> NDArray[Any]:
    """``(n + 1,)`` int32 or int64: where the values of a text or list column begin and end."""
    kind = array.type
    wide = (
        pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_large_list(kind)
    )
    values: NDArray[Any] = np.frombuffer(array.buffers()[1], "<i8" if wide else "<i4")
    return values[array.offset : array.offset + len(array) + 1]


def check_offsets(offsets: NDArray[Any], end: int) -> None:
    """Raises ``Damage`` where they do not rise from 0 or more to ``end`` or less."""
    good = int(offsets[0]) >= 0 and int(offsets[-1]) <= end
    for start in range(0, len(offsets) - 1, _BLOCK):
        part = offsets[start : start + _BLOCK + 1]
        good = good and bool((part[1:] >= part[:-1]).all())
    if not good:
        raise Damage("its offsets are not in order")


def check_all(array: pa.Array) -> None:
    """The offsets and codes of an array and of all that it is made of; raises ``Damage``."""
    kind = array.type
    test = pa.types
    if not len(array):
        return
    if is_text(kind):
        data = array.buffers()[2]
        check_offsets(offsets_of(array), 0 if data is None else data.size)
    elif test.is_dictionary(kind):
        check_all(array.dictionary)
        codes = array.indices.drop_null().to_numpy()
        if len(codes) and (codes.min() < 0 or codes.max() >= len(array.dictionary)):
            raise Damage("a code points outside its words")
    elif test.is_map(kind) or test.is_list(kind) or test.is_large_list(kind):
        items = array.values
        check_offsets(offsets_of(array), len(items))
        check_all(items)
    elif test.is_fixed_size_list(kind):
        check_all(array.values)
    elif test.is_struct(kind):
        for i in range(kind.num_fields):
            check_all(array.field(i))
