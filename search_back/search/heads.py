"""Small networks over stored embeddings: linear ones, class prototypes, multi-layer perceptrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from search_back.errors import DimensionMismatch
from search_back.types import FloatArray

Activation = Literal["none", "relu", "gelu"]
Output = Literal["none", "sigmoid", "softmax"]

# Of the widest layer's activations: what bounds the memory of a call.
BLOCK_BYTES: Final = 8 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """``activation(weight @ x + bias)``; weight ``(outputs, inputs)``, bias ``(outputs,)``."""

    weight: FloatArray
    bias: FloatArray
    activation: Activation = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Scores vectors, as exact as float32. Any thread may call it.

    ``name``: for people, the file's; ``output``: what is done to the last layer's outputs;
    ``centre``: ``(d,)``, taken off every vector first.
    """

    name: str
    layers: tuple[Layer, ...]
    output: Output = "none"
    centre: FloatArray | None = None

    @property
    def dimension(self) -> int:
        return int(self.layers[0].weight.shape[1])

    @property
    def classes(self) -> int:
        """How many outputs: 1 for a plain score."""
        return len(self.layers[-1].weight)

    def check(self, dimension: int, *, owner: str) -> None:
        """Raises ``DimensionMismatch`` where the vectors of ``owner`` have another length."""
        if dimension != self.dimension:
            raise DimensionMismatch(
                f"{self.name} reads {self.dimension}-d vectors",
                value=f"{owner} of {dimension}-d",
                remedy="give a head that was made for the encoder of that index",
            )

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """``(n, d)`` float32, unit rows → ``(n,)``, or ``(n, classes)`` where there are several.

        Raises ``DimensionMismatch``.
        """
        self.check(vectors.shape[1], owner="vectors")
        widest = max(max(layer.weight.shape) for layer in self.layers)
        rows = max(1, BLOCK_BYTES // (4 * widest))
        outputs = np.empty((len(vectors), self.classes), dtype=np.float32)
        # What overflows is left infinite or NaN, for the caller to judge.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(vectors), rows):
                outputs[start : start + rows] = self._forward(vectors[start : start + rows])
        return outputs[:, 0] if self.classes == 1 else outputs

    def _forward(self, values: FloatArray) -> FloatArray:
        if self.centre is not None:
            values = values - self.centre
        for layer in self.layers:
            values = values @ layer.weight.T + layer.bias
            if layer.activation == "relu":
                values = np.maximum(values, np.float32(0))
            elif layer.activation == "gelu":
                values = _gelu(values)
        if self.output == "sigmoid":
            half = np.float32(0.5)
            values = np.tanh(values * half) * half + half  # a form that overflows for no input
        if self.output == "softmax":
            powers: FloatArray = np.exp(values - values.max(axis=1, keepdims=True))
            powers /= powers.sum(axis=1, keepdims=True)
            return powers
        return values

    def __str__(self) -> str:
        widths = [self.dimension, *(len(layer.weight) for layer in self.layers)]
        kinds: list[str] = [*dict.fromkeys(layer.activation for layer in self.layers), self.output]
        words = [kind for kind in kinds if kind != "none"] or ["linear"]
        return f"{' → '.join(map(str, widths))}, {', '.join(words)}"


def _gelu(values: FloatArray) -> FloatArray:
    """``x Φ(x)``, by formula 7.1.26 of Abramowitz and Stegun for erf: within 1.5e-7 of it."""
    size = np.abs(values) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(coefficient)) * t
    erf = np.copysign(1 - series * np.exp(-size * size), values)
    result: FloatArray = values * (1 + erf) / 2
    return result
