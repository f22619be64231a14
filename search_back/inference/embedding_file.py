"""Embeddings as ``.npy``: ``(n, d)`` float16, little-endian."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from search_back.types import FloatArray
from search_back.vectors import HalfArray, as_stored


class EmbeddingFile:
    """One ``.npy`` of ``(n, d)`` float16 unit rows whose n is known only when it is closed."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.rows = 0
        self._file = open(path, "wb")  # noqa: SIM115
        self._dimension = dimension
        write_header(self._file, self.rows, self._dimension)
        self._data_start = self._file.tell()

    def append(self, vectors: FloatArray | HalfArray) -> None:
        """Those of float16 are written as they are."""
        self._file.write(_halves(vectors).tobytes())
        self.rows += len(vectors)

    def close(self) -> None:
        if self._file.closed:
            return
        with self._file:
            self._file.seek(0)
            write_header(self._file, self.rows, self._dimension)
            # numpy pads headers so that the length of the first axis may grow.
            assert self._file.tell() == self._data_start, "the header moved the data"


def write_header(file: BinaryIO, rows: int, dimension: int) -> None:
    """What comes before the numbers; of the same length for any number of rows."""
    header = {"descr": "<f2", "fortran_order": False, "shape": (rows, dimension)}
    np.lib.format.write_array_header_1_0(file, header)


def _halves(vectors: FloatArray | HalfArray) -> HalfArray:
    if vectors.dtype == np.float16:
        return vectors.astype("<f2", copy=False)
    return as_stored(vectors)
