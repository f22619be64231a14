"""Taking rows of Arrow columns that lie in mapped files.

A file may be damaged, so offsets and codes are checked before they are followed: one flipped bit
would make Arrow read outside the file. Texts are gathered by compiled code where there is some,
which waits for many rows of memory at once, where Arrow waits for one after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.kernels import library
from search_back.metadata.layout import is_text, restore
from search_back.types import IdArray

_BLOCK: Final = 1 << 20
_FULL_CHECK: Final = 16
_DAMAGED: Final = -1  # of texts.c


class Damage(ValueError):
    """Offsets or codes that point nowhere; the store adds the file and the column."""


class Column(ABC):
    """One column; ``kind``: the type of what ``take`` gives. Safe for threads."""

    def __init__(self, array: pa.Array, kind: pa.DataType) -> None:
        self.array = array
        self.kind = kind

    @abstractmethod
    def take(self, ids: IdArray) -> pa.Array:
        """The rows of ids that are known to exist; raises ``Damage``."""


class Fixed(Column):
    """Values of one width: nothing that could be damaged leads anywhere."""

    def take(self, ids: IdArray) -> pa.Array:
        return self.array.take(pa.array(ids))


class Text(Column):
    """Strings or bytes behind offsets; those of the rows that are taken are checked.

    Without compiled code all are checked, once, where so many rows are taken that it costs little.
    """

    def __init__(self, array: pa.Array, kind: pa.DataType) -> None:
        super().__init__(array, kind)
        self._offsets = offsets_of(array)
        valid, _, data = array.buffers()
        self._data = np.frombuffer(data if data is not None else b"", np.uint8)
        self._valid = np.frombuffer(valid, np.uint8) if array.null_count else None
        self._place = self._offsets.ctypes.data, self._data.ctypes.data
        self._checked = False

    def take(self, ids: IdArray) -> pa.Array:
        taken = self._gather(ids)
        if taken is not None:
            return taken
        self._check(ids)
        return self.array.take(pa.array(ids))

    def _gather(self, ids: IdArray) -> pa.Array | None:
        """By compiled code; None: there is none, or the texts are too long for their offsets."""
        compiled = library()
        if compiled is None:
            return None
        width = self._offsets.itemsize
        measure, copy = compiled.texts_measure, compiled.texts_copy
        if width > 4:
            measure, copy = compiled.large_texts_measure, compiled.large_texts_copy
        rows = np.ascontiguousarray(ids)
        ends = pa.allocate_buffer(width * (len(rows) + 1))
        asked = rows.ctypes.data, len(rows), ends.address
        size = measure(*self._place, len(self._data), *asked)
        if size == _DAMAGED:
            raise Damage("its offsets are not in order")
        if size < 0:
            return None
        texts = pa.allocate_buffer(size)
        copy(*self._place, *asked, texts.address)
        buffers = [self._validity(rows), ends, texts]
        return pa.Array.from_buffers(self.array.type, len(rows), buffers)

    def _validity(self, ids: IdArray) -> pa.Buffer | None:
        if self._valid is None:
            return None
        bits = ids + self.array.offset
        flags = (self._valid[bits >> 3] >> (bits & 7).astype(np.uint8)) & 1
        return pa.py_buffer(np.packbits(flags, bitorder="little"))

    def _check(self, ids: IdArray) -> None:
        if self._checked:
            return
        if len(ids) * _FULL_CHECK >= len(self.array):
            check_offsets(self._offsets, len(self._data))
            self._checked = True
            return
        starts, ends = self._offsets.take(ids), self._offsets[1:].take(ids)
        if len(ids) and (
            starts.min() < 0 or ends.max() > len(self._data) or not (ends >= starts).all()
        ):
            raise Damage("its offsets are not in order")


class Coded(Column):
    """A code a row into a few distinct values."""

    def __init__(self, array: pa.DictionaryArray, kind: pa.DataType) -> None:
        super().__init__(array, kind)
        self._words = column_of(array.dictionary, kind)
        self._codes: NDArray[Any] | None = None
        if len(array) and not array.indices.null_count:
            self._codes = array.indices.to_numpy(zero_copy_only=True)
        self._checked = False

    def take(self, ids: IdArray) -> pa.Array:
        if self._codes is None:
            return self._take_or_null(ids)
        codes = self._codes.take(ids)
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(self._words.array):
            raise Damage("a code points outside its words")
        return self._words.take(codes.astype(np.int64))

    def _take_or_null(self, ids: IdArray) -> pa.Array:
        if not self._checked:
            check_all(self.array)
            self._checked = True
        codes = self.array.indices.take(pa.array(ids))
        return restore(self._words.array.take(codes), self.kind)


class Nested(Column):
    """Lists, structs and maps; all offsets are checked at the first take."""

    def __init__(self, array: pa.Array, kind: pa.DataType) -> None:
        super().__init__(array, kind)
        self._checked = False

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
    arrays = []
    for name, column in columns.items():
        try:
            arrays.append(column.take(ids))
        except Damage as error:
            raise Damage(f"column {name!r}: {error}") from error
    return arrays


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
