"""From layers to a head, where they fit together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from search_back.search.heads import Head, Layer, Output
from search_back.services.heads.pinned import broken
from search_back.types import FloatArray


def head_of(
    path: Path, layers: Sequence[Layer], output: Output, *, centre: FloatArray | None = None
) -> Head:
    """The head of a file's layers, one at least; raises ``CorruptFile`` where they make none."""
    for layer in layers:
        if layer.weight.ndim != 2 or 0 in layer.weight.shape:
            raise broken(path, f"a weight of shape {layer.weight.shape}, no matrix")
        if layer.bias.shape != (len(layer.weight),):
            raise broken(
                path, f"a bias of shape {layer.bias.shape} to a weight of {layer.weight.shape}"
            )
    for one, next_ in pairwise(layers):
        if next_.weight.shape[1] != len(one.weight):
            raise broken(
                path, f"a layer of {len(one.weight)} outputs before {next_.weight.shape[1]} inputs"
            )
    if centre is not None and centre.shape != (layers[0].weight.shape[1],):
        raise broken(path, f"a mean of shape {centre.shape} to a first layer of another")
    if output == "softmax" and len(layers[-1].weight) == 1:
        raise broken(path, "a softmax of one output, which is always 1")
    return Head(str(path), tuple(layers), output, centre)
