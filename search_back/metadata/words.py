"""Columns of few distinct texts (a language, a licence, a flag): the texts once, a code a row.

A row then costs one byte of a small array instead of an offset and a text far apart.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_MOST: Final = 256
"""As many as a code of one byte can tell apart."""
_ROWS_A_WORD: Final = 4
"""Fewer rows for each distinct text and codes save nothing."""


class Words:
    """The distinct texts of a column that comes in pieces, as long as they are few."""

    def __init__(self) -> None:
        self._found: pa.Array | None = None
        self._many = False

    def add(self, piece: pa.ChunkedArray) -> None:
        """Count in another piece of the column."""
        if self._many:
            return
        found = pc.unique(piece)
        if self._found is not None:
            found = pc.unique(pa.concat_arrays([self._found, found]))
        self._many = len(found) > _MOST
        self._found = None if self._many else found

    def few(self, rows: int) -> pa.Array | None:
        """The distinct texts of a column of so many rows, a null among them if it has one.

        None where they are not few, or there is no text among them.
        """
        found = self._found
        if found is None or len(found) * _ROWS_A_WORD > rows or found.null_count == len(found):
            return None
        return found


def codes(texts: pa.Array, words: pa.Array) -> NDArray[Any]:
    """``(n,)`` uint8: which of the words each text is; a null is found as a word."""
    places: NDArray[Any] = pc.index_in(texts, value_set=words).to_numpy()
    return places.astype(np.uint8)
