"""Write one tower as an OpenVINO model.

int8 is of the weights: those of matrix products with one scale a column, tables with one a row.
The runtime also quantises the inputs of such products, with one scale a small group, on CPUs
whose instructions gain by it. Convolutions stay as they are: their weights would only be smaller
on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from search_back.encoders.description import Precision
from search_back.encoders.export.int8 import quantise_weights
from search_back.encoders.runtimes.openvino import PRECISION, import_openvino, read_model
from search_back.types import FloatArray

_SMALLEST: Final = 4096


def write_openvino(onnx_file: Path, target: Path, *, precision: Precision) -> None:
    """Write the float32 tower of ``onnx_file`` to ``target`` and its weights beside it.

    ``target``: named ``*.xml``; the weights' file has ``.bin`` in its place, and both belong
    together. fp16 and bf16 store the weights as float16; bf16 is computed with where a CPU has
    instructions for it, else float32. Raises ``ModelUnavailable`` where OpenVINO is missing or
    cannot read ``onnx_file``.
    """
    openvino = import_openvino(onnx_file)
    model = read_model(openvino.Core(), onnx_file)
    if precision == "int8":
        _quantise(model, openvino.opset13)
    model.set_rt_info(precision, list(PRECISION))
    openvino.save_model(model, target, compress_to_fp16=precision in ("fp16", "bf16"))


def _quantise(model: Any, ops: Any) -> None:
    """Store the large weights of products and tables as int8, each times its scales."""
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind not in ("MatMul", "Gather"):
            continue
        place = 1 if kind == "MatMul" else 0
        weights = _constant(node.input_value(place).get_node())
        if weights is None or weights.size < _SMALLEST:
            continue
        in_rows = kind == "Gather" or node.get_attributes()["transpose_b"]
        values, scales = quantise_weights(weights.T if in_rows else weights)
        stored = np.ascontiguousarray(values.T) if in_rows else values
        smaller = ops.multiply(
            ops.convert(ops.constant(stored), "f32"),
            ops.constant(scales[:, None] if in_rows else scales[None]),
        )
        node.input(place).replace_source_output(smaller.output(0))
    model.validate_nodes_and_infer_types()


def _constant(node: Any) -> FloatArray | None:
    """A constant matrix, which may be stored as float16; None for all else."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    values = np.asarray(node.get_data())
    if values.ndim != 2 or values.dtype.kind != "f":
        return None
    return values.astype(np.float32)
