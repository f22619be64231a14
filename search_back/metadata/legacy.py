"""The HDF5 caches of older servers: one compressed dataset a column in the group ``dataset``.

They know no nulls (an empty text or 0 stands there) and their texts are variable-length strings.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.errors import CorruptFile
from search_back.metadata.base import ColumnStore, present, without_columns
from search_back.metadata.manifest import damaged, open_hdf5
from search_back.types import IdArray


class LegacyStore(ColumnStore):
    """The rows of an older server's ``metadata.hdf5``, by their place in the file.

    Each column is read in one call, in the order of the file, so a compressed chunk is unpacked
    once however many of its rows are asked for. HDF5 is not safe for threads: a lock guards it.
    Raises ``CorruptFile`` where the file is cut off or its columns differ in length, as those of
    a build that was interrupted do.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = open_hdf5(path)
        try:
            found = dict(self._file["dataset"])
            fields = [pa.field(name, _type(path, name, data)) for name, data in found.items()]
        except (OSError, KeyError, RuntimeError) as error:
            raise damaged(path, str(error)) from error
        lengths = {name: len(data) for name, data in found.items()}
        if len(set(lengths.values())) > 1:
            raise CorruptFile(
                f"the columns of {path} differ in length: its build was interrupted",
                value=lengths,
                remedy="delete it: it is built again from the metadata folder",
            )
        schema = pa.schema(fields)
        schema = pa.schema([schema.field(name) for name in present(columns, schema)])
        super().__init__(str(path), schema, max(lengths.values(), default=0))
        self._columns = found

    def _take(self, ids: IdArray, names: list[str]) -> pa.Table:
        if not names:
            return without_columns(len(ids))
        places, back = np.unique(ids, return_inverse=True)
        with self._lock:
            try:
                read = {name: _read(self._columns[name], places) for name in names}
            except (OSError, RuntimeError) as error:
                raise damaged(self.path, str(error)) from error
        columns = [_array(read[name], self._schema.field(name).type) for name in names]
        schema = pa.schema([self._schema.field(name) for name in names])
        return pa.table(columns, schema=schema).take(pa.array(back))

    def close(self) -> None:
        with self._lock:
            super().close()
            self._columns = {}
            self._file.close()


def _type(path: Path, name: str, data: Any) -> pa.DataType:
    import h5py

    if not isinstance(data, h5py.Dataset) or data.ndim != 1:
        raise damaged(path, f"column {name!r} is not a list of values")
    if h5py.check_string_dtype(data.dtype):
        return pa.large_string()
    try:
        return pa.from_numpy_dtype(data.dtype)
    except pa.ArrowNotImplementedError as error:
        raise damaged(path, f"column {name!r} is {data.dtype}") from error


def _read(data: Any, places: IdArray) -> NDArray[Any]:
    """The values at rising places. A list of points: h5py's own lists take quadratic time."""
    from h5py import h5s, h5t

    out: NDArray[Any] = np.empty(len(places), data.dtype)
    if not len(places):
        return out
    if places[-1] - places[0] == len(places) - 1:
        run: NDArray[Any] = data[places[0] : places[-1] + 1]
        return run
    space = data.id.get_space()
    space.select_elements(places.astype(np.uint64)[:, None])
    data.id.read(h5s.create_simple((len(places),)), space, out, h5t.py_create(data.dtype))
    return out


def _array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_large_string(kind):
        return pa.array(values, kind)
    items = values.tolist()
    try:
        return pa.array(items, pa.large_binary()).cast(kind)
    except pa.ArrowInvalid:
        return pa.array([item.decode("utf-8", "replace") for item in items], kind)
