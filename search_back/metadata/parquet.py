"""Metadata in Parquet files, read into memory; and their rows as a stream, for building caches."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from search_back.errors import CorruptFile
from search_back.metadata.base import BATCH_ROWS, ColumnStore, present, without_columns
from search_back.metadata.columns import Column, column_of, take_columns
from search_back.metadata.folder import data_files, need
from search_back.metadata.manifest import Source
from search_back.metadata.schema import conform, unify
from search_back.types import IdArray


class ParquetSource:
    """The rows of Parquet files, one file after the other, under one schema.

    Opening reads the footers only. ``files``: in the order that defines the ids; ``columns``: those
    to read, ones that no file has are left out. Raises ``CorruptFile`` with the name of a file that
    cannot be read, ``BadFolder`` with a column whose types do not go together.
    """

    def __init__(self, files: Sequence[Path], columns: Sequence[str] | None = None) -> None:
        self.files = tuple(files)
        footers = [(path, _open(path)) for path in self.files]
        self._rows = sum(int(footer.metadata.num_rows) for _, footer in footers)
        schema = unify((path, footer.schema_arrow) for path, footer in footers)
        self.schema = pa.schema([schema.field(name) for name in present(columns, schema)])

    def __len__(self) -> int:
        return self._rows

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
        """Every row in the order of ids, at most ``rows`` at a time, in bounded memory."""
        for path in self.files:
            with _open(path) as file:
                names = present(self.schema.names, file.schema_arrow)
                try:
                    for batch in _batches(file, rows, names) if names else ():
                        yield conform(pa.Table.from_batches([batch]), self.schema, path)
                    if not names:
                        yield from self._empty(file.metadata.num_rows, rows, path)
                except (pa.ArrowException, OSError) as error:
                    raise _corrupt(path, error) from error

    def table(self) -> pa.Table:
        """All rows; each column is one chunk."""
        parts = []
        for path in self.files:
            with _open(path) as file:
                names = present(self.schema.names, file.schema_arrow)
                try:
                    pieces = _read(file, names) if names else [_rows_of(file)]
                except (pa.ArrowException, OSError) as error:
                    raise _corrupt(path, error) from error
                parts += [conform(piece, self.schema, path) for piece in pieces]
        if not self.schema.names:
            return without_columns(self._rows)
        table = pa.concat_tables(parts)
        del parts
        columns = []
        for _ in self.schema:
            # Letting go of the pieces as it goes: the peak is one column more, not one table.
            columns.append(table.column(0).combine_chunks())
            table = table.remove_column(0)
        return pa.table(columns, schema=self.schema)

    def _empty(self, total: int, rows: int, path: Path) -> Iterator[pa.Table]:
        for start in range(0, total, rows):
            yield conform(without_columns(min(rows, total - start)), self.schema, path)


class ParquetStore(ColumnStore):
    """Metadata of a folder of ``*.parquet``, held in memory as Arrow columns.

    ``columns``: those to show; None: all; ones that no file has are left out. ``needed``: those to
    read at once; None: all of them. Another is read when it is first asked for, and held from
    then on. Strings and lists have 64-bit offsets, dictionaries are decoded, a column that some
    files lack is null there.
    """

    def __init__(
        self,
        source: Path | Sequence[Path],
        columns: Sequence[str] | None = None,
        *,
        needed: Sequence[str] | None = None,
    ) -> None:
        if isinstance(source, Path):
            source = need(data_files(source).parquet, "Parquet", source)
        rows = ParquetSource(source, columns)
        super().__init__(str(rows.files[0].parent), rows.schema, len(rows))
        self._files = rows.files
        self._sources = [Source.of(path) for path in rows.files]
        self._lock = threading.Lock()
        self._columns: dict[str, Column] = {}
        self._hold(present(needed, rows.schema))

    def _hold(self, names: list[str]) -> None:
        """Read those columns that are not held yet."""
        if all(name in self._columns for name in names):
            return
        with self._lock:
            names = [name for name in names if name not in self._columns]
            if not names:
                return
            for path, source in zip(self._files, self._sources, strict=True):
                if not path.exists() or Source.of(path) != source:
                    raise CorruptFile(
                        f"{path} was changed since the metadata was opened",
                        remedy="reload the index",
                    )
            table = ParquetSource(self._files, names).table()
            read = {
                name: column_of(table.column(name).combine_chunks(), self._schema.field(name).type)
                for name in names
            }
            # Another thread may be looking at the dictionary there is.
            self._columns = {**self._columns, **read}

    def _take(self, ids: IdArray, names: list[str]) -> pa.Table:
        if not names:
            return without_columns(len(ids))
        self._hold(names)
        held = self._columns
        arrays = take_columns({name: held[name] for name in names}, ids)
        return pa.table(arrays, schema=pa.schema([self._schema.field(name) for name in names]))

    def close(self) -> None:
        super().close()
        self._columns = {}


def _read(file: pq.ParquetFile, names: list[str]) -> list[pa.Table]:
    """All rows of a file, in one piece where Arrow can."""
    try:
        return [file.read(columns=names)]
    except pa.ArrowNotImplementedError:
        # Dictionaries within lists, which differ between row groups.
        return [file.read_row_group(i, columns=names) for i in range(file.num_row_groups)]


def _batches(file: pq.ParquetFile, rows: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    """All rows of a file, at most so many at a time."""
    if not any("dictionary<" in str(file.schema_arrow.field(name).type) for name in names):
        yield from file.iter_batches(rows, columns=names)
        return
    # Arrow does not join dictionaries within lists, which differ between row groups.
    for group in range(file.num_row_groups):
        yield from file.iter_batches(rows, row_groups=[group], columns=names)


def _rows_of(file: pq.ParquetFile) -> pa.Table:
    return without_columns(file.metadata.num_rows)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> CorruptFile:
    return CorruptFile(
        f"{path} cannot be read as Parquet ({error})", remedy="restore it, or make it again"
    )
