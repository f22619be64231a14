"""Leaving out what detectors flag, by the stored vectors of the hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_back.interfaces import VectorIndex
from search_back.search.heads import Head
from search_back.types import FloatArray, IdArray
from search_back.vectors import normalise

USE_SAFETY_MODEL: Final = "use_safety_model"
USE_VIOLENCE_DETECTOR: Final = "use_violence_detector"

# Vectors that are in memory at a time.
BLOCK_ROWS: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A head whose scores above a threshold flag a vector.

    The score of a head with one output is that output. Of several, the second is the class that
    is flagged: its score is its probability or, where the outputs are no probabilities, its lead
    over the best of the others. ``threshold``: None: 0.5; 0 for a lead.
    """

    head: Head
    threshold: float | None = None

    def flags(self, vectors: FloatArray) -> NDArray[np.bool_]:
        """``(n, d)`` float32, unit rows → ``(n,)`` bool. A score that is no number is flagged."""
        scores = self.head(vectors)
        limit = 0.5 if self.threshold is None else self.threshold
        if scores.ndim == 2 and self.head.output == "none":
            scores = scores[:, 1] - np.delete(scores, 1, axis=1).max(axis=1)
            limit = self.threshold or 0.0
        elif scores.ndim == 2:
            scores = scores[:, 1]
        flagged: NDArray[np.bool_] = ~(scores <= limit)
        return flagged


def screen(detectors: Sequence[Detector], index: VectorIndex, ids: IdArray) -> IdArray:
    """The positions in ``ids`` of those that no detector flags, rising: ``(m,)`` int64."""
    kept = np.ones(len(ids), dtype=np.bool_)
    for start in range(0, len(ids), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        vectors = normalise(index.reconstruct(ids[block]))
        for detector in detectors:
            kept[block] &= ~detector.flags(vectors)
    return np.flatnonzero(kept).astype(np.int64, copy=False)
