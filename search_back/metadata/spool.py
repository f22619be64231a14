"""The arrays of a layout as files that grow, until their lengths are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.metadata.base import BATCH_ROWS
from search_back.metadata.layout import gather, is_text, scatter
from search_back.metadata.manifest import group
from search_back.metadata.words import Words, codes

_COPY: Final = 1 << 21


def scatter_all(batch: pa.RecordBatch, sink: Arrays) -> None:
    """Append a piece of every column."""
    for field, array in zip(batch.schema, batch.columns, strict=True):
        scatter(group(field.name), array, sink)


class Arrays(ABC):
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


class Spool(Arrays):
    """Arrays in files of a folder, as they grow; the columns of no null lose their ``valid``."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        super().__init__()
        self._schema = schema
        self._rows = 0
        self._words = {field.name: Words() for field in schema if is_text(field.type)}
        self._coded: list[str] = []
        self._folder = folder
        self._arrays: dict[str, tuple[Path, str]] = {}
        self._made = 0
        self._nulls: set[str] = set()

    def add(self, table: pa.Table) -> None:
        """Append rows of the schema."""
        self._rows += table.num_rows
        for name, words in self._words.items():
            words.add(table[name])
        for batch in table.to_batches():
            scatter_all(batch, self)

    def bits(self, path: str, flags: NDArray[np.bool_]) -> None:
        if path.endswith("/valid") and not flags.all():
            self._nulls.add(path)
        super().bits(path, flags)

    def append(self, path: str, values: NDArray[Any]) -> None:
        if path not in self._arrays:
            self._arrays[path] = (self._folder / str(self._made), values.dtype.str)
            self._made += 1
        file, _ = self._arrays[path]
        with open(file, "ab") as handle:
            np.ascontiguousarray(values).tofile(handle)

    def finish(self) -> None:
        """Call once, after the last rows."""
        self.flush()
        for name, words in self._words.items():
            if (few := words.few(self._rows)) is not None:
                self._encode(group(name), few)
                self._coded.append(group(name))
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

    def _encode(self, path: str, words: pa.Array) -> None:
        """Codes and words instead of the texts of a column."""
        texts = gather(path, words.type, self._rows, self._buffers().get)
        for start in range(0, self._rows, BATCH_ROWS):
            self.numbers(f"{path}/codes", codes(texts.slice(start, BATCH_ROWS), words))
        for name in ("valid", "offsets", "bytes"):
            if f"{path}/{name}" in self._arrays:
                self._arrays.pop(f"{path}/{name}")[0].unlink()
        scatter(f"{path}/words", words, self)

    def copy(self, sink: Arrays, under: str = "") -> None:
        """Every array whose path begins so, to a sink that has a place for it."""
        for path, (file, dtype) in self._arrays.items():
            if not path.startswith(under):
                continue
            with open(file, "rb") as handle:
                while len(block := np.fromfile(handle, dtype, _COPY)):
                    sink.append(path, block)

    def copy_words(self, sink: Arrays) -> None:
        """What codes point to: it stays as it is when the rows change their places."""
        for path in self._coded:
            self.copy(sink, f"{path}/words/")

    def view(self) -> pa.RecordBatch:
        """All rows, mapped from the files: texts may be codes, maps are lists."""
        buffers = self._buffers().get
        arrays = [
            gather(group(field.name), field.type, self._rows, buffers) for field in self._schema
        ]
        return pa.record_batch(arrays, names=self._schema.names)

    def _buffers(self) -> dict[str, Any]:
        return {
            path: pa.memory_map(str(file), "r").read_buffer()
            for path, (file, _) in self._arrays.items()
            if file.stat().st_size
        }
