"""Heads from the HDF5 files of Keras."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_back.search.heads import Activation, Head, Layer, Output
from search_back.services.heads.chain import head_of
from search_back.services.heads.pinned import broken, finite

_BETWEEN: Final[Mapping[str, Activation]] = {"linear": "none", "relu": "relu", "gelu": "gelu"}
_AFTER: Final[Mapping[str, Output]] = {
    "linear": "none",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
}
# Layers that do nothing to a vector when it is scored.
_IDLE: Final = ("InputLayer", "Dropout")


def read_keras(path: Path, data: bytes) -> Head:
    """The head that ``model.save("….h5")`` wrote: a ``Sequential`` of ``Dense`` and ``Dropout``.

    Raises ``CorruptFile``.
    """
    import h5py

    try:
        with h5py.File(BytesIO(data), "r") as file:
            dense = _dense_layers(path, json.loads(file.attrs["model_config"]))
            found = [_weights(path, file["model_weights"], config) for config in dense]
    except (OSError, KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise broken(path, f"no model of Keras: {error!r}") from error
    activations = [str(config.get("activation", "linear")) for config in dense]
    strange = [name for name in activations[:-1] if name not in _BETWEEN]
    strange += [name for name in activations[-1:] if name not in _AFTER]
    if strange:
        raise broken(path, f"activation {', '.join(strange)}")
    layers = [
        Layer(weight, bias, activation)
        for (weight, bias), activation in zip(
            found, [*(_BETWEEN[name] for name in activations[:-1]), "none"], strict=True
        )
    ]
    return head_of(path, layers, _AFTER[activations[-1]])


def _dense_layers(path: Path, model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings of the dense layers, in order."""
    if model["class_name"] != "Sequential":
        raise broken(path, f"a Keras {model['class_name']} model, no Sequential")
    layers: Sequence[Mapping[str, Any]] = model["config"]["layers"]
    strange = {layer["class_name"] for layer in layers} - {"Dense", *_IDLE}
    if strange:
        raise broken(path, f"layers of kind {', '.join(sorted(strange))}")
    dense = [layer["config"] for layer in layers if layer["class_name"] == "Dense"]
    if not dense:
        raise broken(path, "a model without a dense layer")
    return dense


def _weights(path: Path, group: Any, config: Mapping[str, Any]) -> tuple[Any, Any]:
    """A layer's weight ``(outputs, inputs)`` and bias, both float32."""
    layer = group[config["name"]]
    names = [n.decode() if isinstance(n, bytes) else n for n in layer.attrs["weight_names"]]
    arrays = {
        name.rsplit("/")[-1].partition(":")[0]: finite(path, np.asarray(layer[name]))
        for name in names
    }
    kernel = arrays["kernel"]
    return kernel.T, arrays.get("bias", np.zeros(kernel.shape[-1], dtype=np.float32))
