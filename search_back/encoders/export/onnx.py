"""Towers as ONNX models: traced, stored compactly, written to files."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search_back.encoders.export.graph import lift_constants
from search_back.encoders.sources.lean import contrib_operators

if TYPE_CHECKING:
    from torch import Tensor, nn

SINGLE_FILE: Final = 32 * 2**20
"""Bytes up to which a model is one file; the weights of a larger one are mapped from a second."""
_SMALLEST_HALF: Final = 16
_SMALLEST_APART: Final = 4096
_NO_LIMIT: Final = 1 << 40


def dynamic(name: str, least: int, most: int) -> Any:
    """A dimension that the graph leaves open."""
    import torch

    return torch.export.Dim(name, min=least, max=most)


def trace(
    tower: nn.Module,
    example: Tensor,
    *,
    names: tuple[str, str],
    shape: Mapping[int, Any],
    contrib: bool,
) -> Any:
    """``tower`` as an ONNX model with an input and an output of those ``names``.

    ``example``: an input to trace with; ``shape``: its dimensions that stay open. ``contrib``:
    whether operators that only ONNX Runtime has may be used.
    """
    import torch
    from onnxscript import optimizer

    own = contrib_operators(tower) if contrib else contextlib.nullcontext()
    # The exporter reports its progress on standard output.
    with own, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            tower,
            (example.contiguous(),),
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=(dict(shape),),
            dynamo=True,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        # Not the exporter's whole optimisation: it merges batch norms into convolutions, whose
        # weights are then no longer the published ones. The runtime does that when it loads.
        optimizer.fold_constants(
            program.model, input_size_limit=_NO_LIMIT, output_size_limit=_NO_LIMIT
        )
        optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    lift_constants(model)
    _strip_notes(model)
    return model


def store_half(model: Any, *, lossy: bool = False) -> None:
    """Store float32 constants as float16, each followed by a cast, in place.

    The runtime folds the casts when it loads, so it computes in float32. A table that is only
    looked up is cast after the look-up: it need never be read as a whole. Only constants that
    lose nothing are stored so, or with ``lossy`` all that stay finite. Every weight of a model
    that was published in float16 loses nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    casts, after = [], {}
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        right = np.isfinite(half).all() if lossy else np.array_equal(half, values)
        if values.size < _SMALLEST_HALF or not right:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        lookups = readers.get(name, [])
        if lookups and all(n.op_type == "Gather" and n.input[0] == name for n in lookups):
            for node in lookups:
                node.input[0] = f"{name}_half"
                row = node.output[0]
                node.output[0] = f"{row}_half"
                after[id(node)] = helper.make_node(
                    "Cast", [f"{row}_half"], [row], to=TensorProto.FLOAT
                )
        else:
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(casts)
    for node in graph.node:
        nodes += [node, after[id(node)]] if id(node) in after else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def save(model: Any, file: Path) -> None:
    """Write and check a model; large weights go to ``NAME.onnx.data``, which is mapped."""
    import onnx

    if _weight_bytes(model) <= SINGLE_FILE:
        onnx.checker.check_model(model)
        file.write_bytes(model.SerializeToString(deterministic=True))
        return
    data = data_file(file)
    data.unlink(missing_ok=True)  # else its weights would be added to
    onnx.save_model(
        model,
        str(file),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=data.name,
        size_threshold=_SMALLEST_APART,
    )
    data.chmod(0o644)
    onnx.checker.check_model(str(file))


def data_file(file: Path) -> Path:
    """Where the weights of a large model lie."""
    return file.with_name(f"{file.name}.data")


def _weight_bytes(model: Any) -> int:
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def _strip_notes(model: Any) -> None:
    """Drop what the exporter notes about where each node comes from."""
    graph = model.graph
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]
