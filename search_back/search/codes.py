"""Small numbers in place of the values of a column, so that numpy can compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from search_back.errors import InputError
from search_back.types import IdArray

if TYPE_CHECKING:
    import pyarrow as pa


def codes(column: pa.Array | pa.ChunkedArray) -> IdArray:
    """``(n,)`` int64: equal numbers for equal values, 0, 1, … as they first appear; -1: missing.

    Null and NaN are missing; 0.0 and -0.0 are equal. Raises ``InputError`` for a type whose
    values cannot be compared (lists, structs).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)  # a dictionary may hold a value twice
    if pa.types.is_floating(column.type):
        wide = column.cast(pa.float64())
        missing = pc.is_null(wide, nan_is_null=True)
        column = pc.add(pc.if_else(missing, pa.scalar(None, wide.type), wide), 0.0)  # -0.0 is 0.0
    try:
        encoded = column.dictionary_encode()
    except pa.ArrowNotImplementedError:
        raise InputError(
            "values of this type cannot be compared",
            value=str(column.type),
            remedy="choose a column of texts, numbers, booleans or times",
        ) from None
    indices = encoded.indices.cast(pa.int64()).fill_null(-1)
    return np.array(indices, dtype=np.int64)
