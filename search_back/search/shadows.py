"""Few dimensions that tell exactly which rows cannot be near each other."""

from __future__ import annotations

import numpy as np

from search_back.types import FloatArray

# What float32 adds up wrong in sums of squares of a unit row; the root of a remainder is taken of
# so much more, so that the bound stays one.
_ROUNDING = 1e-5


def basis(embeddings: FloatArray, width: int) -> FloatArray:
    """``(d, width)`` float32 orthonormal columns that hold most of the rows, falling.

    One step of subspace iteration on the rows given, which is close to their principal axes; any
    other orthonormal columns would make bounds as true, only less tight.
    """
    axes = np.linalg.qr(embeddings[:: max(1, len(embeddings) // width)][:width].T)[0]
    axes = np.linalg.qr(embeddings.T @ (embeddings @ axes))[0]
    held = embeddings @ axes
    turn = np.linalg.eigh(held.T @ held)[1][:, ::-1]
    result: FloatArray = axes @ turn
    return result


def shadows(embeddings: FloatArray, axes: FloatArray) -> FloatArray:
    """``(n, w + 1)`` float32 rows whose inner products are never below those of the embeddings.

    A row is split into its part along the ``w`` orthonormal ``axes`` and the rest, of which only
    the length is kept: by Cauchy and Schwarz ``a·b ≤ a₁·b₁ + |a₂||b₂|``.
    """
    width = axes.shape[1]
    result = np.empty((len(embeddings), width + 1), dtype=np.float32)
    held = result[:, :width]
    np.matmul(embeddings, axes, out=held)
    rest = np.einsum("ij,ij->i", embeddings, embeddings) - np.einsum("ij,ij->i", held, held)
    result[:, width] = np.sqrt(np.maximum(rest, 0) + _ROUNDING)
    return result
