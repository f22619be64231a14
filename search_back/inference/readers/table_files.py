"""Parquet and Arrow files, read in parts of bounded memory; damage costs a part of its own."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from search_back.errors import CorruptFile
from search_back.inference.report import Failure

DAMAGE: Final = (pa.ArrowException, OSError, EOFError, ValueError, KeyError, zlib.error)
"""What reading a damaged table raises."""

_BYTES_AT_ONCE: Final = 1 << 24
_ROWS_AT_ONCE: Final = 1000
_BUFFER: Final = 1 << 20
_ARROW_MAGIC: Final = b"ARROW1"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Neighbouring rows of a table; ``first``: the number of the first one, from 0."""

    first: int
    batch: pa.RecordBatch


class TableFile(Protocol):
    """One table. ``parts``: how many parts it has; each can be read alone."""

    path: Path
    schema: pa.Schema
    parts: int

    def read(self, part: int, columns: Sequence[str]) -> Generator[Rows | Failure, None, None]:
        """The rows of a part in their order, with at least these columns of ``schema``."""
        ...

    def nulls(self, part: int, leaf: str) -> int | None:
        """How many cells of a part are null, where that is told without reading them."""
        ...


@dataclass(frozen=True, slots=True)
class _RowGroup:
    number: int
    first: int
    rows: int


class ParquetTable:
    """A Parquet file. A part is a row group, or several small ones that follow each other.

    Pictures are read a few at a time, a page at least, so that memory does not grow with the row
    group. Raises ``CorruptFile``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._groups: list[list[_RowGroup]] = []
        try:
            with pq.ParquetFile(path) as file:
                self.schema: pa.Schema = file.schema_arrow
                self._count(file.metadata)
        except DAMAGE as error:
            raise damaged(path, error) from error
        self.parts = len(self._groups)

    def read(self, part: int, columns: Sequence[str]) -> Generator[Rows | Failure, None, None]:
        for group in self._groups[part]:
            at = group.first
            end = group.first + group.rows
            try:
                # Otherwise pyarrow loads the whole column of the row group.
                with pq.ParquetFile(
                    self.path,
                    pre_buffer=False,
                    buffer_size=_BUFFER,
                    page_checksum_verification=True,
                ) as file:
                    size = _rows_at_once(file.metadata.row_group(group.number), columns)
                    batches = file.iter_batches(
                        size, row_groups=[group.number], columns=list(columns), use_threads=False
                    )
                    with closing(batches):
                        for batch in batches:
                            yield Rows(at, batch.select(list(columns)))
                            at += len(batch)
                if at != end:
                    raise EOFError("it has fewer rows than it says")
            except DAMAGE as error:
                yield lost_rows(self.path, at, end, error)

    def nulls(self, part: int, leaf: str) -> int | None:
        found = 0
        try:
            metadata = pq.read_metadata(self.path)
            for group in self._groups[part]:
                several = metadata.row_group(group.number)
                columns = (several.column(i) for i in range(several.num_columns))
                column = next(column for column in columns if column.path_in_schema == leaf)
                if column.statistics is None or not column.statistics.has_null_count:
                    return None
                found += column.statistics.null_count
        except (*DAMAGE, StopIteration):
            return None
        return found

    def _count(self, metadata: Any) -> None:
        first = 0
        room = 0
        for number in range(metadata.num_row_groups):
            group = _RowGroup(number, first, metadata.row_group(number).num_rows)
            if not self._groups or room < group.rows:
                self._groups.append([])
                room = _ROWS_AT_ONCE
            self._groups[-1].append(group)
            room -= group.rows
            first += group.rows


class ArrowTable:
    """An Arrow IPC file or stream, also one of Feather's or Hugging Face's.

    A part is a record batch; a stream is one part, since it has no list of its batches. The file
    is mapped, so that only a compressed batch takes memory as a whole. Raises ``CorruptFile``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first = [0]
        try:
            with open(path, "rb") as file:
                self._is_stream = file.read(len(_ARROW_MAGIC)) != _ARROW_MAGIC
            with pa.memory_map(str(path)) as source, self._opened(source) as reader:
                self.schema: pa.Schema = reader.schema
                if not self._is_stream:
                    self._count(source, reader)
        except DAMAGE as error:
            raise damaged(path, error) from error
        self.parts = 1 if self._is_stream else len(self._first) - 1

    def read(self, part: int, columns: Sequence[str]) -> Generator[Rows | Failure, None, None]:
        at = self._first[part]
        end = None if self._is_stream else self._first[part + 1]
        try:
            with pa.memory_map(str(self.path)) as source:
                fields = [self.schema.get_field_index(name) for name in columns]
                with self._opened(source, fields) as reader:
                    batches = reader if self._is_stream else (reader.get_batch(part),)
                    for batch in batches:
                        wanted = batch.select(list(columns))
                        # Broken offsets would lead out of the file; texts are looked at later.
                        _check_offsets(wanted)
                        for start in range(0, len(wanted), _ROWS_AT_ONCE):
                            yield Rows(at, wanted.slice(start, _ROWS_AT_ONCE))
                            at += min(_ROWS_AT_ONCE, len(wanted) - start)
        except DAMAGE as error:
            yield lost_rows(self.path, at, end, error)

    def nulls(self, part: int, leaf: str) -> int | None:
        return None

    def _opened(self, source: Any, fields: Sequence[int] = ()) -> Any:
        options = pa.ipc.IpcReadOptions(included_fields=list(fields))
        opener = pa.ipc.open_stream if self._is_stream else pa.ipc.open_file
        return opener(source, options=options)

    def _count(self, source: Any, reader: Any) -> None:
        # A narrow column is unpacked fastest, where the file is compressed.
        narrow = [i for i, field in enumerate(reader.schema) if pa.types.is_primitive(field.type)]
        with self._opened(source, narrow[:1] or [0]) as counting:
            for number in range(counting.num_record_batches):
                try:
                    rows = counting.get_batch(number).num_rows
                except DAMAGE:
                    rows = 0
                self._first.append(self._first[-1] + rows)


def damaged(path: Path, error: BaseException) -> CorruptFile:
    """A table of which nothing can be read."""
    return CorruptFile(f"{path} cannot be read", remedy=f"{reason_of(error)}; make it again")


def lost_rows(path: Path, first: int, end: int | None, error: BaseException) -> Failure:
    """Rows ``first`` to ``end``, which is the next part's first; None: to the end of the table."""
    rows = f"rows {first} to {'the end' if end is None else end - 1}"
    return Failure(str(path), "read", f"{rows} cannot be read: {reason_of(error)}; make it again")


def reason_of(error: BaseException) -> str:
    """What a library says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _rows_at_once(group: Any, columns: Sequence[str]) -> int:
    roots = set(columns)
    parts = (group.column(i) for i in range(group.num_columns))
    size: int = sum(
        part.total_uncompressed_size
        for part in parts
        if part.path_in_schema in roots or part.path_in_schema.split(".")[0] in roots
    )
    rows: int = max(group.num_rows, 1)
    return max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE * rows // max(size, 1)))


def _check_offsets(batch: pa.RecordBatch) -> None:
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise
