"""What every metadata store does the same way: check the ids, choose the columns, close."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from search_back.errors import CorruptFile, InvalidField, UnknownColumn, UnknownId
from search_back.types import IdArray

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all) while a cache is built."""

BATCH_ROWS = 1 << 16
Opened = TypeVar("Opened", bound="ColumnStore")


class ColumnStore(ABC):
    """A ``MetadataStore`` over columns of equal length; a subclass reads the rows.

    ``name`` stands in messages. A store is immutable, so any number of threads may take from it;
    one that is not safe for threads by nature guards itself.
    """

    def __init__(self, name: str, schema: pa.Schema, rows: int) -> None:
        self._name = name
        self._schema = schema.remove_metadata()
        self._rows = rows
        self._closed = False

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types, as ``take`` gives them."""
        return self._schema

    def __len__(self) -> int:
        return self._rows

    def take(self, ids: IdArray, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of ``(n,)`` ids, in that order; an id may come more than once.

        ``columns``: those to read, in that order; None: all. Raises ``UnknownId`` with the ids
        out of range, ``UnknownColumn`` with the name, ``InvalidField`` where ``ids`` are no flat
        list of integers.
        """
        if self._closed:
            raise ValueError(f"the metadata store of {self._name} is closed")
        names = choose_columns(columns, self._schema)
        return self._take(check_ids(ids, self._rows), names)

    @abstractmethod
    def _take(self, ids: IdArray, names: list[str]) -> pa.Table:
        """The rows of ids that are known to exist, of columns that are known to exist."""

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
        """Every row in the order of ids, at most ``rows`` at a time."""
        for start in range(0, self._rows, rows):
            yield self.take(np.arange(start, min(start + rows, self._rows), dtype=np.int64))

    def verify(self) -> None:
        """Read everything and raise ``CorruptFile`` for damage that can be seen.

        What that is, is for the kind of file to say: one without checksums shows only broken
        structure and texts that are no UTF-8.
        """
        for table in self.batches():
            try:
                table.validate(full=True)
            except pa.ArrowInvalid as error:
                raise CorruptFile(
                    f"the metadata of {self._name} is damaged ({error})",
                    remedy="restore it, or make it again",
                ) from error

    def close(self) -> None:
        """Let go of files and memory; tables taken before stay valid."""
        self._closed = True

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, {self._rows} rows)"


def check_ids(ids: ArrayLike, rows: int) -> IdArray:
    """``(n,)`` int64, each in ``0 … rows - 1``; raises ``UnknownId``, ``InvalidField``."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidField(
            "ids",
            "ids must be a flat list of integers",
            value=f"{array.ndim} dimensions of {array.dtype}",
        )
    if array.size and (array.min() < 0 or array.max() >= rows):
        known = f"this index has 0 … {rows - 1}" if rows else "this index is empty"
        raise UnknownId(
            "there is no metadata of these ids",
            value=array[(array < 0) | (array >= rows)].tolist(),
            remedy=known,
        )
    return array.astype(np.int64, copy=False)


def choose_columns(columns: Sequence[str] | None, schema: pa.Schema) -> list[str]:
    """The names to read, each once; raises ``UnknownColumn`` with the nearest name there is."""
    if columns is None:
        return list(schema.names)
    known = set(schema.names)
    for name in columns:
        if name not in known:
            near = difflib.get_close_matches(name, schema.names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownColumn(
                "there is no such metadata column",
                value=name,
                remedy=f"{hint}There are: {', '.join(schema.names) or 'none'}",
            )
    return list(dict.fromkeys(columns))


def present(columns: Sequence[str] | None, schema: pa.Schema) -> list[str]:
    """Those of the wished columns that exist, each once; all where None is wished."""
    if columns is None:
        return list(schema.names)
    return [name for name in dict.fromkeys(columns) if name in set(schema.names)]


def without_columns(rows: int) -> pa.Table:
    """A table of so many rows and no columns (Arrow's ``take`` would forget how many)."""
    return pa.table({"_": pa.nulls(rows)}).select([])
