"""Pure numpy on embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search_back.errors import DimensionMismatch, InputError
from search_back.types import FloatArray

HalfArray = NDArray[np.float16]


def normalise(vectors: ArrayLike) -> FloatArray:
    """Rows scaled to unit length: ``(n, d)`` → ``(n, d)`` float32. Zero rows stay zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    # np.linalg.norm makes two arrays as large as the rows.
    norms = np.sqrt(np.einsum("...i,...i->...", rows, rows))[..., None]
    result: FloatArray = rows / np.where(norms == 0, np.float32(1), norms)
    return result


def as_stored(vectors: ArrayLike) -> HalfArray:
    """Unit rows as embeddings folders hold them: ``(n, d)`` → ``(n, d)`` float16."""
    return normalise(vectors).astype("<f2")


def combine(vectors: Sequence[FloatArray], weights: Sequence[float]) -> FloatArray:
    """The unit vector of a weighted sum of unit vectors: n × ``(d,)`` → ``(d,)`` float32.

    Each part is normalised first, so a weight means the same whatever it weighs. Raises
    ``InputError`` where the parts cancel out, ``DimensionMismatch`` where they differ in length.
    """
    sizes = {len(v) for v in vectors}
    if len(sizes) != 1:
        raise DimensionMismatch("parts of a query must have one dimension", value=sorted(sizes))
    total = np.asarray(weights, dtype=np.float32) @ normalise(np.stack(vectors))
    norm = float(np.linalg.norm(total))
    if not np.isfinite(norm) or norm < 1e-6:
        raise InputError(
            "the parts of the query cancel out", remedy="change a weight or drop a part"
        )
    result: FloatArray = total / np.float32(norm)
    return result


def check_embedding(values: ArrayLike, dimension: int, *, owner: str) -> FloatArray:
    """A client's vector as ``(d,)`` float32; raises ``DimensionMismatch`` or ``InputError``."""
    vector = np.asarray(values, dtype=np.float32)
    if vector.ndim == 2 and vector.shape[0] == 1:
        vector = vector[0]
    if vector.shape != (dimension,):
        raise DimensionMismatch(
            f"{owner} holds {dimension}-d vectors",
            value=f"an embedding of shape {vector.shape}",
            remedy="send an embedding made by the encoder of that index",
        )
    if not np.isfinite(vector).all():
        raise InputError("an embedding holds NaN or infinity", remedy="send finite numbers")
    if not vector.any():
        raise InputError("an embedding of zeros points nowhere", remedy="send a non-zero vector")
    return vector
