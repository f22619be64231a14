"""Metadata in Arrow IPC files, mapped into memory and never copied as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from search_back.errors import CorruptFile
from search_back.metadata.base import ColumnStore, present, without_columns
from search_back.metadata.columns import Column, Damage, column_of, take_columns
from search_back.metadata.folder import data_files, need
from search_back.metadata.schema import conform, same, unify
from search_back.types import IdArray


class ArrowStore(ColumnStore):
    """Metadata of a folder of ``*.arrow`` (Arrow IPC files), mapped.

    Types are those of the files, dictionaries decoded. Rows are taken batch by batch and put back
    in the order asked for: ``Table.take`` over many batches costs time in proportion to the
    table. Files with compressed buffers work, but are unpacked into memory when opened. Safe for
    threads without a lock: nothing changes after opening.
    """

    def __init__(self, source: Path | Sequence[Path], columns: Sequence[str] | None = None) -> None:
        if isinstance(source, Path):
            source = need(data_files(source).arrow, "Arrow", source)
        self.files = tuple(source)
        readers = [(path, _open(path)) for path in self.files]
        everything = unify(((path, reader.schema) for path, reader in readers), keep=same)
        schema = pa.schema([everything.field(name) for name in present(columns, everything)])
        batches = [
            (path, batch)
            for path, reader in readers
            for batch in _batches(path, reader)
            if batch.num_rows
        ]
        self._batches = [(path, _columns(batch, schema)) for path, batch in batches]
        lengths = [batch.num_rows for _, batch in batches]
        self._ends = np.cumsum(lengths, dtype=np.int64)
        super().__init__(str(self.files[0].parent), schema, int(sum(lengths)))

    def _take(self, ids: IdArray, names: list[str]) -> pa.Table:
        if not names:
            return without_columns(len(ids))
        schema = pa.schema([self._schema.field(name) for name in names])
        if not len(ids):
            return schema.empty_table()
        numbers = np.searchsorted(self._ends, ids, side="right")
        if numbers[0] == numbers[-1] and (numbers == numbers[0]).all():
            return self._part(int(numbers[0]), ids, names, schema)
        order = np.argsort(numbers, kind="stable")
        numbers, ids = numbers[order], ids[order]
        cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(ids)]
        parts = [
            self._part(int(numbers[start]), ids[start:end], names, schema)
            for start, end in itertools.pairwise(cuts)
        ]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(parts).combine_chunks().take(pa.array(back))

    def _part(self, number: int, ids: IdArray, names: list[str], schema: pa.Schema) -> pa.Table:
        path, columns = self._batches[number]
        local = ids - self._ends[number - 1] if number else ids
        here = {name: columns[name] for name in names if name in columns}
        if not here:
            return conform(without_columns(len(ids)), schema, path)
        try:
            arrays = take_columns(here, local)
        except Damage as error:
            raise _corrupt(path, error) from error
        return conform(pa.table(arrays, names=list(here)), schema, path)

    def close(self) -> None:
        super().close()
        self._batches = []


def _open(path: Path) -> pa.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path), "r"))
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, error) from error


def _batches(path: Path, reader: pa.RecordBatchFileReader) -> list[pa.RecordBatch]:
    views = any("_view" in str(field.type) for field in reader.schema)
    try:
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        for batch in batches:
            # Views are copied, so all that they point to is looked at.
            batch.validate(full=views)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, error) from error
    return batches


def _columns(batch: pa.RecordBatch, schema: pa.Schema) -> dict[str, Column]:
    columns = {}
    for field in batch.schema:
        if field.name not in schema.names:
            continue
        array, kind = batch.column(field.name), same(field.type)
        if "_view" in str(field.type):
            array = array.cast(kind)
        # Dictionaries inside nested values are decoded when rows have been taken.
        coded = pa.types.is_dictionary(array.type)
        columns[field.name] = column_of(array, kind if coded else array.type)
    return columns


def _corrupt(path: Path, error: Exception) -> CorruptFile:
    return CorruptFile(
        f"{path} cannot be read as an Arrow IPC file ({error})",
        remedy="restore it, or make it again",
    )
