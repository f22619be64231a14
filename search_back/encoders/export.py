"""Export the two towers of an open_clip model to ONNX files that need no torch.

`image.onnx` takes `pixel_values` `(batch, 3, h, w)` float32 and gives `image_embeds`
`(batch, d)`; `text.onnx` takes `input_ids` `(batch, length)` int64 and gives `text_embeds`. Outputs
are not normalised. Weights that are float16 in the published model are stored so and cast to
float32 in the graph; the runtime folds the casts when it loads, so it computes in float32 with
exactly the published weights.

A causal text tower is exported with a dynamic length and runs only the positions it is given.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search_back.encoders.open_clip_import import open_clip
from search_back.encoders.towers import end_positions, image_tower, is_causal, text_tower
from search_back.errors import ModelUnavailable
from search_back.files import sha256_file, write_json

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS_FILE = "open_clip_model.safetensors"
ENCODER_FILE = "encoder.json"
TOWER_FILES = {"image": "image.onnx", "text": "text.onnx"}
LEAST_COSINE = 0.99999
"""Least cosine between an exported tower and torch, on every checked input."""

FloatRows = npt.NDArray[np.float32]
_SMALLEST_HALF = 16


@dataclass(frozen=True, slots=True)
class Checks:
    """What checking an export found: width of the vectors, least cosines to torch, input count."""

    dimension: int
    min_cosine_image: float
    min_cosine_text: float
    inputs: int


def export_towers(
    clip: Any, folder: Path, *, pixel_values: FloatRows, input_ids: npt.NDArray[np.int64]
) -> Checks:
    """Write both towers into `folder` and check them on real inputs.

    `pixel_values` `(n, 3, h, w)` and `input_ids` `(n, context_length)` are the inputs to trace and
    check with, at least two of each. The text tower of a causal model is also checked against the
    full-context run on rows cut to their own lengths. Raises `ModelUnavailable` where a tower
    differs from torch.
    """
    import torch

    clip = clip.eval().float()
    causal = is_causal(clip)
    images, texts = torch.from_numpy(pixel_values), torch.from_numpy(input_ids)
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    length = torch.export.Dim("length", min=2, max=input_ids.shape[1])
    text_shape = {0: batch, 1: length} if causal else {0: batch}
    image_file, text_file = (folder / TOWER_FILES[kind] for kind in ("image", "text"))
    _export(image_tower(clip), images[:2], image_file, ("pixel_values", "image_embeds"), {0: batch})
    # Traced at a length that is neither end of the range, so that neither is built in.
    traced = texts[:2, : max(3, input_ids.shape[1] // 2)] if causal else texts[:2]
    _export(text_tower(clip), traced, text_file, ("input_ids", "text_embeds"), text_shape)
    with torch.no_grad():
        image_reference = clip.encode_image(images).numpy()
        text_reference = clip.encode_text(texts).numpy()
    run_image, run_text = open_tower(image_file), open_tower(text_file)
    image_cosine = _least_cosine(image_reference, run_image(pixel_values))
    text_cosine = _least_cosine(text_reference, run_text(input_ids))
    if causal:
        lengths = end_positions(clip, texts).numpy() + 1
        cut = [run_text(row[None, :end]) for row, end in zip(input_ids, lengths, strict=True)]
        text_cosine = min(text_cosine, _least_cosine(text_reference, np.concatenate(cut)))
    for kind, cosine in (("image", image_cosine), ("text", text_cosine)):
        if cosine < LEAST_COSINE:
            raise ModelUnavailable(
                f"the exported {kind} tower differs from torch",
                value=f"least cosine {cosine:.6f}",
                remedy=f"expected at least {LEAST_COSINE}: use the torch runtime",
            )
    return Checks(image_reference.shape[1], image_cosine, text_cosine, len(images) + len(texts))


def open_tower(file: Path) -> Callable[[npt.NDArray[Any]], FloatRows]:
    """One exported tower on one thread: a function from inputs to `(n, d)` float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(file), sess_options=options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def run(inputs: npt.NDArray[Any]) -> FloatRows:
        rows: FloatRows = session.run(None, {name: inputs})[0]
        return rows

    return run


def write_encoder_json(
    clip: Any,
    folder: Path,
    *,
    name: str,
    checks: Checks,
    preprocessing: dict[str, Any],
    tokenizer: dict[str, Any],
) -> dict[str, Any]:
    """Write `encoder.json` beside the towers and the weights: all that a torch-free reader needs.

    `preprocessing` is a `preprocess_cfg` of open_clip; `tokenizer` is written as it is.
    """
    scale = getattr(clip, "logit_scale", None)
    size = preprocessing["size"]
    described: dict[str, Any] = {
        "name": name,
        "weights_sha256": sha256_file(folder / WEIGHTS_FILE),
        "dimension": checks.dimension,
        "precision": "fp32",
        "preprocessing": {
            "image_size": [size, size] if isinstance(size, int) else list(size),
            "resize_mode": preprocessing["resize_mode"],
            "interpolation": preprocessing["interpolation"],
            "mean": list(preprocessing["mean"]),
            "std": list(preprocessing["std"]),
            "fill_color": preprocessing.get("fill_color", 0),
        },
        "tokenizer": tokenizer,
        "text_is_causal": is_causal(clip),
        "logit_scale": 1.0 if scale is None else float(scale.detach().exp().max()),
        "towers": dict(TOWER_FILES),
        "checks": {
            "min_cosine_image": checks.min_cosine_image,
            "min_cosine_text": checks.min_cosine_text,
            "inputs": checks.inputs,
        },
    }
    write_json(folder / ENCODER_FILE, described)
    return described


def load_local(folder: Path) -> tuple[Any, Any]:
    """Model and preprocessing of a `local-dir:` folder, through stock open_clip."""
    clip, _, preprocess = open_clip().create_model_and_transforms(f"local-dir:{folder}")
    return clip.eval(), preprocess


def _export(
    tower: nn.Module, example: Tensor, file: Path, names: tuple[str, str], shape: dict[int, Any]
) -> None:
    import onnx
    import torch
    from onnxscript import optimizer

    # The exporter reports its progress on standard output.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            tower,
            (example.contiguous(),),
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=(shape,),
            dynamo=True,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        # Not the exporter's whole optimisation: it merges batch norms into convolutions, whose
        # weights are then no longer the published ones. The runtime does that when it loads.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    _strip_notes(model)
    store_half(model)
    onnx.checker.check_model(model)
    file.write_bytes(model.SerializeToString(deterministic=True))


def _strip_notes(model: Any) -> None:
    """Drop what the exporter notes about where each node comes from."""
    graph = model.graph
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]


def store_half(model: Any) -> None:
    """Store float32 initialisers as float16, each followed by a cast, wherever that loses nothing.

    It loses nothing for every weight of a model whose published weights are float16.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < _SMALLEST_HALF or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _least_cosine(first: FloatRows, second: FloatRows) -> float:
    products = (first * second).sum(axis=1)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float((products / lengths).min())
