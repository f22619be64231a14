"""An encoder that ends the run it works for."""

from __future__ import annotations

import numpy as np

from search_back.types import FloatArray
from tests.fakes import FakeEncoder


class Killed(BaseException):
    """What stops a run from within, past every ``except Exception``."""


class Mortal(FakeEncoder):
    """Dies at call number ``last`` of its picture tower; its vectors depend on their batch."""

    def __init__(self, last: int | None = None, *, threads: int = 0) -> None:
        super().__init__(threads=threads)
        self.last = last
        self.calls = 0

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        self.calls += 1
        if self.calls == self.last:
            raise Killed
        vectors = super().encode_pixels(pixels)
        # As of a tower that is quantised by what a batch holds.
        vectors[:, 0] += np.float32(0.1) * pixels.mean(dtype=np.float32)
        return vectors
