"""Principal components: the directions in which embeddings differ most."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_back.types import FloatArray

Coordinates = NDArray[np.float64]
NOISE: Final = 1e-6  # of a float32 unit row: a direction no wider than this is none


def principal(rows: FloatArray, count: int) -> Coordinates:
    """Rows along their ``count`` widest directions, the widest first: ``(n, count)``.

    Exact, from the eigenvectors of the smaller of covariance and Gram matrix. The largest
    coordinate of a direction is positive, so that the same rows give the same picture. Directions
    that the rows do not have are zeros.
    """
    n, dimension = rows.shape
    found = np.zeros((n, count))
    if n < 2:
        return found
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    known = min(count, n, dimension)
    if dimension <= n:
        _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        found[:, :known] = centred @ axes[:, ::-1][:, :known]
    else:
        values, axes = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        lengths = np.sqrt(np.maximum(values[::-1][:known], 0.0))
        found[:, :known] = axes[:, ::-1][:, :known] * lengths
    found[:, np.sqrt((found**2).mean(axis=0)) <= NOISE] = 0.0
    largest = found[np.abs(found).argmax(axis=0), np.arange(count)]
    found[:, largest < 0] *= -1
    return found


def fitted(points: Coordinates) -> FloatArray:
    """Points moved and scaled into 0 … 1, their aspect kept: ``(n, 2)`` float32.

    The longer side fills it, the shorter lies in its middle; points in one place lie in the middle.
    """
    if not len(points):
        return np.zeros((0, 2), dtype=np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max())
    moved = points - (low + high) / 2
    found: FloatArray = (moved / (span or 1.0) + 0.5).clip(0.0, 1.0).astype(np.float32)
    return found
