"""Heads from named tensors, and what stands between their layers.

Tensors say which layers there are, not what is between them. A safetensors file can say it in
its metadata: ``activation`` (none, relu, gelu: between any two layers) and ``output`` (none,
sigmoid, softmax). Without, the heads that the LAION project publishes are known by their names.
Anything else is refused: a head read by a wrong guess would flag at random, and nobody would see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, cast, get_args

import numpy as np

from search_back.errors import CorruptFile
from search_back.search.heads import Activation, Head, Layer, Output
from search_back.services.heads.chain import head_of
from search_back.services.heads.pinned import broken
from search_back.types import FloatArray

# The positions and widths of improved-aesthetic-predictor: dropout, and nothing else, is between.
_AESTHETIC_POSITIONS: Final = (0, 2, 4, 6, 7)
_AESTHETIC_WIDTHS: Final = (1024, 128, 64, 16, 1)
_MEAN, _VARIANCE = "norm.mean", "norm.variance"
# Added to the deviation, as the LAION project's heads do.
_EPSILON: Final = 1e-10
T = TypeVar("T", Activation, Output)


class _Shape(NamedTuple):
    """What is between the layers, and after the last one."""

    between: Sequence[Activation]
    output: Output


def head_of_tensors(
    path: Path, tensors: Mapping[str, FloatArray], metadata: Mapping[str, str]
) -> Head:
    """Layers ``NAME.weight`` and ``NAME.bias`` in the order of the numbers their names end in.

    ``norm.mean`` and ``norm.variance``, where they are, scale the input. Raises ``CorruptFile``.
    """
    norm = {name: tensors[name] for name in (_MEAN, _VARIANCE) if name in tensors}
    names = _layer_names(path, [name for name in tensors if name not in norm])
    weights = [np.atleast_2d(tensors[f"{name}weight"]) for name in names]
    biases = [
        tensors.get(f"{name}bias", np.zeros(len(weight), dtype=np.float32))
        for name, weight in zip(names, weights, strict=True)
    ]
    shape = _shape(path, names, weights, scaled=bool(norm), metadata=metadata)
    if norm:
        if len(norm) == 1 or norm[_VARIANCE].shape != (weights[0].shape[1],):
            raise broken(path, f"a normalisation of {[(n, v.shape) for n, v in norm.items()]}")
        weights[0] = weights[0] / (np.sqrt(norm[_VARIANCE]) + np.float32(_EPSILON))
    layers = [
        Layer(weight, np.atleast_1d(bias), activation)
        for weight, bias, activation in zip(weights, biases, [*shape.between, "none"], strict=True)
    ]
    return head_of(path, layers, shape.output, centre=norm.get(_MEAN))


def _layer_names(path: Path, tensors: Sequence[str]) -> list[str]:
    """``layers.0.``, ``layers.3.`` …, in order; ``""`` for a layer without a name."""
    parts = {name: re.fullmatch(r"((?:.*\.)?)(?:weight|bias)", name) for name in tensors}
    strangers = [name for name, part in parts.items() if part is None]
    names = {part[1] for part in parts.values() if part is not None}
    if strangers or not names or {f"{name}weight" for name in names} - set(tensors):
        raise broken(path, f"tensors {strangers or list(tensors)}, not those of linear layers")
    if len(names) == 1:
        return list(names)
    numbers = {name: re.fullmatch(r"(.*?)([0-9]+)\.", name) for name in names}
    prefixes = {number[1] if number else None for number in numbers.values()}
    if None in prefixes or len(prefixes) > 1:
        raise broken(path, f"layers {sorted(names)}, whose order their names do not tell")
    return sorted(names, key=_number)


def _number(name: str) -> int:
    return int(re.findall("[0-9]+", name)[-1])


def _shape(
    path: Path,
    names: Sequence[str],
    weights: Sequence[FloatArray],
    *,
    scaled: bool,
    metadata: Mapping[str, str],
) -> _Shape:
    """As the metadata say, else as published."""
    known = _published(names, [len(weight) for weight in weights], scaled=scaled)
    activation: Activation | None = _said(path, metadata, "activation", get_args(Activation))
    output: Output | None = _said(path, metadata, "output", get_args(Output))
    if activation is not None:
        known = _Shape([activation] * (len(names) - 1), known.output if known else "none")
    if known is None:
        raise CorruptFile(
            f"{path} does not say what stands between its layers",
            value=f"layers {', '.join(name.rstrip('.') for name in names)}",
            remedy="save it as .safetensors, with activation (none, relu or gelu) and output "
            "(none, sigmoid or softmax) in its metadata",
        )
    return known if output is None else known._replace(output=output)


def _said(path: Path, metadata: Mapping[str, str], key: str, choices: Sequence[T]) -> T | None:
    value = metadata.get(key)
    if value is not None and value not in choices:
        raise broken(path, f"{key} {value!r} in its metadata, none of {', '.join(choices)}")
    return cast("T | None", value)


def _published(names: Sequence[str], widths: Sequence[int], *, scaled: bool) -> _Shape | None:
    """What the LAION project's heads of these names are; None for others."""
    if scaled:
        # clip_…_binary_nsfw_head.pth, ported from Keras.
        ported = names == [f"linear_{i + 1}." for i in range(len(names))]
        return _Shape(["relu"] * (len(names) - 1), "sigmoid") if ported else None
    if len(names) == 1:
        return _Shape([], "none")
    if not all(re.fullmatch(r"(?:.*\.)?[0-9]+\.", name) for name in names):
        return None
    positions = tuple(_number(name) for name in names)
    if positions == _AESTHETIC_POSITIONS and tuple(widths) == _AESTHETIC_WIDTHS:
        return _Shape(["none"] * (len(names) - 1), "none")
    # Positions in a torch Sequential: h14_nsfw.pth has a ReLU and a dropout, or nothing, between.
    activations: dict[int, Activation] = {1: "none", 3: "relu"}
    gaps = [after - before for before, after in pairwise(positions)]
    if not set(gaps) <= set(activations):
        return None
    return _Shape([activations[gap] for gap in gaps], "none")
