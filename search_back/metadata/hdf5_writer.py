"""Writing the HDF5 layout from a stream of rows, in bounded memory."""

from __future__ import annotations

import tempfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.errors import BadFolder
from search_back.files import publish
from search_back.metadata.base import BATCH_ROWS, Progress
from search_back.metadata.layout import gather, is_bits, scatter, supported
from search_back.metadata.manifest import (
    OLD_TO_NEW,
    Dataset,
    Manifest,
    Source,
    group,
    write_manifest,
)
from search_back.metadata.schema import conform, wide
from search_back.types import IdArray

_ALIGNMENT: Final = 64
_COPY: Final = 1 << 21


class Rows(Protocol):
    """What can be written: a ``ParquetSource`` or any of the stores."""

    @property
    def schema(self) -> pa.Schema: ...

    def __len__(self) -> int: ...

    def batches(self, rows: int = ...) -> Iterator[pa.Table]: ...


def write_hdf5(
    target: Path,
    rows: Rows,
    *,
    order: IdArray | None = None,
    sources: Sequence[Path] = (),
    columns: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Publish the rows at ``target`` in our layout: whole, or not at all.

    ``order``: ``(n,)`` int64, the row that each place of the file gets; its inverse is kept in the
    file as ``old_to_new``. ``sources`` and ``columns``: what the manifest says it was made from.
    Contiguous arrays must be sized before they are written, and Parquet does not say how
    long its strings are; so the arrays are first written to files beside the target, as large
    as the result, that are gone when it is done. Raises ``BadFolder`` for a type that cannot be
    kept, or an order that is no permutation of the rows.
    """
    import h5py

    schema = pa.schema([pa.field(field.name, wide(field.type)) for field in rows.schema])
    for field in schema:
        if not supported(field.type):
            raise BadFolder(
                f"column {field.name!r} is {field.type}, which the HDF5 layout cannot keep",
                remedy="leave the column out, or serve the metadata as Parquet or Arrow",
            )
    if order is not None:
        order = _permutation(order, len(rows))
    from_files = tuple(Source.of(path) for path in sources)
    total = len(rows) * (1 if order is None else 2)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(
            prefix=f".{target.name}.", suffix=".spool", dir=target.parent
        ) as folder,
        publish(target) as part,
    ):
        spool = _Spool(Path(folder))
        done = 0
        for table in rows.batches():
            spool.add(conform(table, schema, target))
            done += table.num_rows
            if progress is not None:
                progress(done, total)
        spool.finish()
        with h5py.File(
            part,
            "w",
            libver=("v108", "v108"),  # headers with checksums, readable by HDF5 1.8 and later
            alignment_threshold=1,
            alignment_interval=_ALIGNMENT,
        ) as file:
            sink = _Datasets(file, spool.lengths())
            if order is None:
                spool.copy(sink)
            else:
                batch = spool.view(schema, len(rows))
                for start in range(0, len(order), BATCH_ROWS):
                    ids = order[start : start + BATCH_ROWS]
                    _scatter(batch.take(pa.array(ids)), sink)
                    if progress is not None:
                        progress(len(rows) + start + len(ids), total)
                place = np.empty(len(order), np.int64)
                place[order] = np.arange(len(order))
                sink.create(OLD_TO_NEW, "<i8", len(place))
                sink.numbers(OLD_TO_NEW, place)
            manifest = Manifest(
                rows=len(rows),
                schema=schema,
                datasets=sink.finish(),
                sources=from_files,
                columns=None if columns is None else tuple(columns),
            )
            write_manifest(file, manifest)


def _permutation(order: IdArray, rows: int) -> IdArray:
    order = np.asarray(order, dtype=np.int64)
    if order.shape != (rows,):
        raise BadFolder(
            f"the vector index holds {order.size} vectors, the metadata {rows} rows",
            remedy="make index and metadata from the same embeddings",
        )
    seen = np.zeros(rows, bool)
    seen[order[(order >= 0) & (order < rows)]] = True
    if not seen.all():
        raise BadFolder(
            "the order of the vector index does not name every row once",
            value=f"{int((~seen).sum())} rows missing",
            remedy="serve this index without reordered metadata",
        )
    return order


def _scatter(batch: pa.RecordBatch, sink: _Arrays) -> None:
    for field, array in zip(batch.schema, batch.columns, strict=True):
        scatter(group(field.name), array, sink)


class _Arrays(ABC):
    """Packs bits that come in any number, and remembers the last offset."""

    def __init__(self) -> None:
        self._pending: dict[str, NDArray[np.bool_]] = {}
        self._last: dict[str, int] = {}

    @abstractmethod
    def append(self, path: str, values: NDArray[Any]) -> None:
        """Add to the end of an array."""

    def numbers(self, path: str, values: NDArray[Any]) -> None:
        self.append(path, values)
        if path in self._last and len(values):
            self._last[path] = int(values[-1])

    def last(self, path: str) -> int:
        if path not in self._last:
            self._last[path] = 0
            self.append(path, np.zeros(1, "<i8"))
        return self._last[path]

    def bits(self, path: str, flags: NDArray[np.bool_]) -> None:
        if path in self._pending:
            flags = np.concatenate([self._pending[path], flags])
        whole = len(flags) // 8 * 8
        self.append(path, np.packbits(flags[:whole], bitorder="little"))
        self._pending[path] = flags[whole:]

    def flush(self) -> None:
        for path, flags in self._pending.items():
            self.append(path, np.packbits(flags, bitorder="little"))
        self._pending.clear()


class _Spool(_Arrays):
    """Arrays in files of a folder, as they grow; the columns of no null lose their ``valid``."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._arrays: dict[str, tuple[Path, str]] = {}
        self._nulls: set[str] = set()

    def add(self, table: pa.Table) -> None:
        for batch in table.to_batches():
            _scatter(batch, self)

    def bits(self, path: str, flags: NDArray[np.bool_]) -> None:
        if path.endswith("/valid") and not flags.all():
            self._nulls.add(path)
        super().bits(path, flags)

    def append(self, path: str, values: NDArray[Any]) -> None:
        file, _ = self._arrays.setdefault(
            path, (self._folder / str(len(self._arrays)), values.dtype.str)
        )
        with open(file, "ab") as handle:
            np.ascontiguousarray(values).tofile(handle)

    def finish(self) -> None:
        self.flush()
        for path in [path for path in self._arrays if path.endswith("/valid")]:
            if path not in self._nulls:
                self._arrays.pop(path)[0].unlink()

    def lengths(self) -> dict[str, tuple[str, int]]:
        """The type and the length of each array."""
        return {
            path: (dtype, file.stat().st_size // np.dtype(dtype).itemsize)
            for path, (file, dtype) in self._arrays.items()
        }

    def copy(self, sink: _Datasets) -> None:
        for path, (file, dtype) in self._arrays.items():
            with open(file, "rb") as handle:
                while len(block := np.fromfile(handle, dtype, _COPY)):
                    sink.append(path, block)

    def view(self, schema: pa.Schema, rows: int) -> pa.RecordBatch:
        """All rows, mapped from the files."""
        buffers = {
            path: pa.memory_map(str(file), "r").read_buffer()
            for path, (file, _) in self._arrays.items()
            if file.stat().st_size
        }
        arrays = [gather(group(field.name), field.type, rows, buffers.get) for field in schema]
        return pa.record_batch(arrays, schema=schema)


class _Datasets(_Arrays):
    """Arrays in contiguous HDF5 datasets of a known size."""

    def __init__(self, file: Any, lengths: dict[str, tuple[str, int]]) -> None:
        super().__init__()
        self._file = file
        self._open: dict[str, Any] = {}
        self._done: dict[str, int] = {}
        self._crc: dict[str, int] = {}
        for path, (dtype, length) in lengths.items():
            self.create(path, dtype, length)

    def create(self, path: str, dtype: str, length: int) -> None:
        dataset = self._file.create_dataset(path, shape=(length,), dtype=dtype)
        if is_bits(path):
            dataset.attrs["bits"] = "the lowest first"
        self._open[path], self._done[path], self._crc[path] = dataset, 0, 0

    def append(self, path: str, values: NDArray[Any]) -> None:
        if path not in self._open or not len(values):
            return
        values = np.ascontiguousarray(values)
        start = self._done[path]
        self._open[path][start : start + len(values)] = values
        self._done[path] = start + len(values)
        self._crc[path] = zlib.crc32(values.data, self._crc[path])

    def finish(self) -> dict[str, Dataset]:
        """What was written, for the manifest."""
        self.flush()
        result = {}
        for path, dataset in self._open.items():
            assert self._done[path] == len(dataset), path
            result[path] = Dataset(dataset.dtype.str, len(dataset), self._crc[path])
        return result
