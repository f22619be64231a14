"""Metadata in our HDF5 layout: contiguous arrays, mapped from the file as Arrow columns."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.errors import CorruptFile
from search_back.metadata.base import ColumnStore, present, without_columns
from search_back.metadata.columns import Column, Damage, column_of, take_columns
from search_back.metadata.layout import gather
from search_back.metadata.manifest import (
    OLD_TO_NEW,
    Dataset,
    Manifest,
    damaged,
    group,
    open_hdf5,
    read_manifest,
)
from search_back.types import IdArray

_BLOCK: Final = 1 << 24


class Hdf5Store(ColumnStore):
    """The rows of one file in our layout, by their place in the file.

    Opening reads the manifest and compares the place, type and length of every dataset with it and
    with the size of the file (``CorruptFile``); nothing is copied, the rows are paged in as they
    are taken. Safe for threads without a lock. ``columns``: those to show; None: all; ones
    that the file lacks are left out. ``old_to_new``: where the row of id i lies, ``(n,)`` int64;
    None where the rows lie in the order of the ids.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path = path
        self.manifest, self._buffers = _map(path)
        schema = self.manifest.schema
        names = present(columns, schema)
        super().__init__(
            str(path), pa.schema([schema.field(name) for name in names]), self.manifest.rows
        )
        self._columns = {name: self._column(schema.field(name)) for name in names}
        self.old_to_new: IdArray | None = None
        if self.manifest.ordered:
            self.old_to_new = _as_ids(self._buffers.get(OLD_TO_NEW))
            if len(self.old_to_new) != self._rows:
                raise damaged(
                    path, f"its order has {len(self.old_to_new)} places for {self._rows} rows"
                )

    def _column(self, field: pa.Field) -> Column:
        path, buffers = group(field.name), self._buffers.get
        try:
            array = gather(path, field.type, self.manifest.rows, buffers)
            array.validate()
        except (pa.ArrowException, TypeError) as error:
            raise damaged(self.path, f"column {field.name!r}: {error}") from error
        return column_of(array, field.type)

    def _take(self, ids: IdArray, names: list[str]) -> pa.Table:
        if not names:
            return without_columns(len(ids))
        try:
            arrays = take_columns({name: self._columns[name] for name in names}, ids)
        except Damage as error:
            raise damaged(self.path, str(error)) from error
        return pa.table(arrays, schema=pa.schema([self._schema.field(name) for name in names]))

    def verify(self) -> None:
        """Read every byte and compare with the checksums; raises ``CorruptFile``."""
        for path, dataset in self.manifest.datasets.items():
            data = memoryview(self._buffers[path]).cast("B") if dataset.length else memoryview(b"")
            crc = 0
            for start in range(0, len(data), _BLOCK):
                crc = zlib.crc32(data[start : start + _BLOCK], crc)
            if crc != dataset.crc32:
                raise damaged(self.path, f"{path} does not match its checksum")

    def close(self) -> None:
        super().close()
        self._columns = {}
        self._buffers = {}
        self.old_to_new = None


def _map(path: Path) -> tuple[Manifest, dict[str, Any]]:
    """The manifest, and a view of the file for every dataset that is not empty."""
    with open_hdf5(path) as file:
        manifest = read_manifest(path, file)
        places = {
            name: _place(path, file, name, dataset) for name, dataset in manifest.datasets.items()
        }
    whole = pa.memory_map(str(path), "r").read_buffer()
    buffers = {}
    for name, (start, size) in places.items():
        if start % 8 or start + size > whole.size:
            raise damaged(path, f"{name} lies at {start}, {size} bytes of {whole.size}")
        if size:
            buffers[name] = whole.slice(start, size)
    return manifest, buffers


def _place(path: Path, file: Any, name: str, dataset: Dataset) -> tuple[int, int]:
    try:
        found = file[name]
        dtype, shape, start = found.dtype, found.shape, found.id.get_offset()
    except (OSError, KeyError, AttributeError, RuntimeError) as error:
        raise damaged(path, f"{name} is missing: {error}") from error
    if dtype != np.dtype(dataset.dtype) or shape != (dataset.length,):
        raise damaged(path, f"{name} is {shape} of {dtype}, not {dataset.length} {dataset.dtype}")
    if dataset.length and start is None:
        raise CorruptFile(
            f"{name} of {path} is chunked or compressed, so it cannot be mapped",
            remedy="delete the file: it is built again from the metadata folder",
        )
    return (start or 0), dataset.length * int(dtype.itemsize)


def _as_ids(buffer: Any) -> IdArray:
    values: NDArray[np.int64] = np.frombuffer(buffer if buffer is not None else b"", "<i8")
    return values
