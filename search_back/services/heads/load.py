"""Heads from files of weights: numpy, safetensors, PyTorch, Keras."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from search_back.config import PinnedFile
from search_back.errors import ConfigError, DimensionMismatch
from search_back.search.heads import Head, Layer
from search_back.services.heads.keras import read_keras
from search_back.services.heads.pinned import broken, finite, read_array, read_pinned
from search_back.services.heads.tensors import head_of_tensors
from search_back.types import FloatArray


def load_head(file: PinnedFile, *, dimension: int) -> Head:
    """The head in a file, for vectors of a dimension.

    ``.npy``: ``(d,)`` or ``(1, d)``: weights of one score; ``(d + 1,)``: those, then a bias;
    ``(k, d)``: one prototype a class. ``.safetensors``: named tensors, whose metadata may say
    ``activation`` and ``output``. ``.pt``, ``.pth``: a ``state_dict``; a pickle is read for its
    tensors only, it runs no code. ``.h5``: a Keras ``Sequential`` of dense layers. Raises
    ``ConfigError``, ``CorruptFile`` or ``DimensionMismatch``, which name the file.
    """
    path = file.path
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".safetensors", ".pt", ".pth", ".h5"):
        raise ConfigError(
            "no head is in a file of that kind",
            value=str(path),
            remedy="give a .npy, .safetensors, .pt, .pth or .h5 file",
        )
    data = read_pinned(file)
    if suffix == ".npy":
        head = _of_array(path, read_array(path, data), dimension)
    elif suffix == ".h5":
        head = read_keras(path, data)
    else:
        read = _safetensors if suffix == ".safetensors" else _state_dict
        head = head_of_tensors(path, *read(path, data))
    head.check(dimension, owner="vectors")
    return head


def _of_array(path: Path, values: FloatArray, dimension: int) -> Head:
    if values.shape == (dimension + 1,):
        layer = Layer(values[None, :-1], values[-1:])
    elif values.ndim in (1, 2) and values.shape[-1] == dimension and len(values):
        weight = np.atleast_2d(values)
        layer = Layer(weight, np.zeros(len(weight), dtype=np.float32))
    else:
        raise DimensionMismatch(
            f"{path} reads no {dimension}-d vectors",
            value=f"an array of shape {values.shape}",
            remedy=f"give ({dimension},), ({dimension + 1},) with a bias, or (k, {dimension})",
        )
    return Head(str(path), (layer,))


def _safetensors(path: Path, data: bytes) -> tuple[Mapping[str, FloatArray], Mapping[str, str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise broken(path, repr(error)) from error
    # The library reads metadata from a path only, and the file may have changed by now.
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return {name: finite(path, tensor) for name, tensor in tensors.items()}, metadata


def _state_dict(path: Path, data: bytes) -> tuple[Mapping[str, FloatArray], Mapping[str, str]]:
    import torch

    try:
        value = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise broken(path, str(error).partition("\n")[0] or repr(error)) from error
    if not isinstance(value, Mapping):
        raise broken(path, f"a {type(value).__name__}, no state_dict")
    strangers = [name for name, tensor in value.items() if not isinstance(tensor, torch.Tensor)]
    if strangers:
        raise broken(path, f"no state_dict: {strangers} are no tensors")
    numbers = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in value.items()
    }
    return {str(name): finite(path, tensor.numpy()) for name, tensor in numbers.items()}, {}
