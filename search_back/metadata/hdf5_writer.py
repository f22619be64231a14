"""Writing the HDF5 layout from a stream of rows, in bounded memory."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.errors import BadFolder
from search_back.files import publish
from search_back.metadata.base import BATCH_ROWS, Progress
from search_back.metadata.layout import is_bits, supported
from search_back.metadata.manifest import (
    OLD_TO_NEW,
    Dataset,
    Manifest,
    Source,
    write_manifest,
)
from search_back.metadata.schema import conform, wide
from search_back.metadata.spool import Arrays, Spool, scatter_all
from search_back.types import IdArray

_ALIGNMENT: Final = 64


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
        spool = Spool(Path(folder), schema)
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
                spool.copy_words(sink)
                batch = spool.view()
                for start in range(0, len(order), BATCH_ROWS):
                    ids = order[start : start + BATCH_ROWS]
                    scatter_all(batch.take(pa.array(ids)), sink)
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


class _Datasets(Arrays):
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
