"""Compare an exported tower with torch on real inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from search_back.encoders.description import Precision, Tower
from search_back.encoders.export.samples import Samples
from search_back.encoders.runtimes import OpenTower
from search_back.encoders.sources import SourceModel
from search_back.errors import ModelUnavailable
from search_back.types import FloatArray, IdArray, Tokens
from search_back.vectors import normalise

LEAST_COSINE: Final[dict[Precision, float]] = {
    "fp32": 0.99999,
    "bf16": 0.999,
    "fp16": 0.999,
    "int8": 0.99,
}
"""Least cosine between an export and torch in float32, on every checked input."""
_FEW: Final = 8
_BATCH: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Samples as a model reads them.

    ``pixels``: ``(n, 3, h, w)``; ``ids``: ``(n, context)``; ``tokens``: the same as they are
    served, one by one, each to its own end, or whole where the model reads the padding.
    """

    pixels: FloatArray = field(repr=False)
    ids: IdArray = field(repr=False)
    tokens: Tokens = field(repr=False)

    @classmethod
    def of(cls, source: SourceModel, samples: Samples) -> Inputs:
        pixels = np.stack([source.preprocessing(picture) for picture in samples.pictures])
        tokens = source.tokenizer(samples.texts)
        missing = source.tokenizer.context_length - tokens.ids.shape[1]
        ids = np.pad(tokens.ids, ((0, 0), (0, missing)), constant_values=tokens.pad)
        if source.text_positions == "all":
            lengths = np.full(len(ids), ids.shape[1], dtype=np.int64)
            tokens = Tokens(ids, lengths, tokens.cut, tokens.pad)
        return cls(pixels, ids, tokens)

    def few(self, kind: Tower) -> FloatArray | IdArray:
        """Some of them, in one array."""
        if kind == "image":
            return self.pixels[:_FEW]
        return self.tokens.take(np.arange(min(_FEW, len(self.tokens)))).ids


class Reference:
    """What torch makes of the inputs in float32, over the whole context."""

    def __init__(self, source: SourceModel, inputs: Inputs) -> None:
        self.inputs = inputs
        self._source = source
        self._rows: dict[Tower, FloatArray] = {}

    def rows(self, kind: Tower) -> FloatArray:
        """``(n, d)`` float32, unit rows."""
        if kind not in self._rows:
            source, inputs = self._source, self.inputs
            if kind == "image":
                features = _run_torch(source.whole_image or source.image, inputs.pixels)
            else:
                features = _run_torch(source.whole_text, inputs.ids)
            self._rows[kind] = normalise(features)
        return self._rows[kind]

    def cosines(self, kind: Tower, tower: OpenTower) -> FloatArray:
        """Of each input: ``(n,)``."""
        if kind == "image":
            inputs = self.inputs.pixels
            parts = [tower(inputs[i : i + _BATCH]) for i in range(0, len(inputs), _BATCH)]
        else:
            tokens = self.inputs.tokens
            parts = [tower(tokens.take(np.array([i])).ids) for i in range(len(tokens))]
        found: FloatArray = (normalise(np.concatenate(parts)) * self.rows(kind)).sum(axis=1)
        return found

    def least_cosine(self, kind: Tower, tower: OpenTower) -> float:
        return float(self.cosines(kind, tower).min())


def check_tower(
    kind: Tower, tower: OpenTower, reference: Reference, least: float
) -> dict[str, Any]:
    """What to record of a tower. Raises ``ModelUnavailable`` where a cosine is below ``least``."""
    cosines = reference.cosines(kind, tower)
    lowest = float(cosines.min())
    if not lowest >= least:
        raise ModelUnavailable(
            f"the exported {kind} tower differs from torch",
            value=f"least cosine {lowest:.6f}",
            remedy=f"expected at least {least}: choose another precision or the torch runtime",
        )
    return {f"min_cosine_{kind}": lowest, f"mean_cosine_{kind}": float(cosines.mean())}


def _run_torch(tower: Any, inputs: FloatArray | IdArray) -> FloatArray:
    import torch

    with torch.inference_mode():
        parts = [
            tower(torch.from_numpy(inputs[i : i + _BATCH])).float().numpy()
            for i in range(0, len(inputs), _BATCH)
        ]
    return np.concatenate(parts)
