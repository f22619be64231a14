"""8-bit matrix products for ONNX Runtime on a CPU.

Weights are quantised once, symmetrically, with one scale a column; inputs are quantised at run
time, with one scale and zero point a call (the runtime's ``DynamicQuantizeMatMul``). Everything
else stays in float32. Products whose quantisation hurts most can be left as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from search_back.encoders.export.graph import Product, drop_unused_constants, products
from search_back.types import FloatArray

_MOST: Final = {8: 127, 7: 63}
_DOMAIN: Final = "com.microsoft"


def quantise(model: Any, *, keep: Collection[str] = (), bits: int = 8) -> list[str]:
    """Quantise the products of an ONNX model in place; the names of those that were.

    ``keep``: names of products (``Product.name``) that stay in float32. ``bits``: of the weights;
    7 for processors whose sums of 8-bit products may overflow.
    """
    from onnx import helper, numpy_helper

    nodes = {id(node): node for node in model.graph.node}
    replaced: dict[int, Any] = {}
    dropped: set[int] = set()
    done = []
    for product in list(products(model)):
        if product.name in keep:
            continue
        values, scales = quantise_weights(product.weights, bits=bits)
        name = product.name
        parts = [
            numpy_helper.from_array(values, f"{name}.weights"),
            numpy_helper.from_array(scales, f"{name}.scales"),
        ]
        inputs = [product.node.input[0], parts[0].name, parts[1].name, ""]
        if product.bias is not None:
            parts.append(numpy_helper.from_array(product.bias, f"{name}.bias"))
            inputs.append(parts[-1].name)
            dropped.add(id(product.node))
        model.graph.initializer.extend(parts)
        # Where there is a bias, the product takes the place of the addition.
        place = product.node if product.add is None else product.add
        replaced[id(place)] = helper.make_node(
            "DynamicQuantizeMatMul", inputs, [product.output], domain=_DOMAIN
        )
        done.append(name)
    kept = [replaced.get(key, node) for key, node in nodes.items() if key not in dropped]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    drop_unused_constants(model)
    if all(known.domain != _DOMAIN for known in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return done


def fold_quick_gelu(model: Any) -> int:
    """Move the factor of each ``x · sigmoid(factor · x)`` into the weights around it, in place.

    With ``y = factor · x`` it is ``y · sigmoid(y) / factor``: the product before makes ``y``, the
    one after divides, and the runtime's kernel for a factor of 1 is twice as fast. Weights are
    quantised column by column, so that the factor costs no precision. How many were found.
    """
    from onnx import numpy_helper

    by_output = {product.output: product for product in products(model)}
    by_input = {product.node.input[0]: product for product in products(model)}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    folded = []
    for gate in model.graph.node:
        scaled = makers.get(gate.input[0]) if gate.op_type == "Sigmoid" else None
        if scaled is None or scaled.op_type != "Mul":
            continue
        x, factor = sorted(scaled.input, key=constants.__contains__)
        gated = readers[gate.output[0]]
        before = by_output.get(x)
        after = by_input.get(gated[0].output[0])
        if (
            len(gated) != 1
            or set(gated[0].input) != {x, gate.output[0]}
            or factor not in constants
            or before is None
            or before.bias is None
            or after is None
            or len(readers[x]) != 2
            or len(readers[gated[0].output[0]]) != 1
        ):
            continue
        value = np.float32(numpy_helper.to_array(constants[factor]).reshape(-1)[0])
        _set(constants[before.node.input[1]], before.weights * value)
        bias = next(name for name in before.add.input if name in constants)
        _set(constants[bias], before.bias * value)
        _set(constants[after.node.input[1]], after.weights / value)
        gate.input[0] = x
        folded.append(scaled)
    for node in folded:
        model.graph.node.remove(node)
    return len(folded)


def _set(tensor: Any, values: FloatArray) -> None:
    from onnx import numpy_helper

    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))


def quantise_weights(
    weights: FloatArray, *, bits: int = 8
) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """``(k, n)`` float32 → ``(k, n)`` int8 and ``(n,)`` float32 scales: weights ≈ int8 × scale."""
    most = _MOST[bits]
    scales = np.abs(weights).max(axis=0) / np.float32(most)
    scales[scales == 0] = 1
    rounded = np.rint(weights / scales)
    return np.clip(rounded, -most, most).astype(np.int8), scales.astype(np.float32)


def harm(model: Any, inputs: Mapping[str, Any], *, at_most: int = 4096) -> dict[str, float]:
    """How much quantising each product changes its result: error energy ÷ energy.

    Measured one product at a time on what reaches it for ``inputs`` of the float32 ``model``, of
    which at most ``at_most`` rows are looked at.
    """
    import onnxruntime
    from onnx import helper

    found = list(products(model))
    names = sorted({product.node.input[0] for product in found})
    probe = type(model)()
    probe.CopyFrom(model)
    known = {output.name for output in probe.graph.output}
    probe.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    reached = dict(zip(names, session.run(names, dict(inputs)), strict=True))
    return {p.name: _harm(p, reached[p.node.input[0]], at_most) for p in found}


def _harm(product: Product, reached: FloatArray, at_most: int) -> float:
    rows = reached.reshape(-1, reached.shape[-1])[:at_most]
    low, high = min(0.0, float(rows.min())), max(0.0, float(rows.max()))
    scale = (high - low) / 255 or 1.0
    seen = np.rint(rows / scale) * scale
    values, scales = quantise_weights(product.weights)
    right = rows @ product.weights
    wrong = seen @ (values * scales)
    return float(((wrong - right) ** 2).sum() / max(float((right**2).sum()), 1e-30))


def load(path: Path) -> Any:
    """An ONNX file as a model."""
    import onnx

    return onnx.load(str(path))
