"""Export a model's towers to files that need no torch, and check them.

The image tower takes ``pixel_values`` ``(batch, 3, h, w)`` float32 and gives ``image_embeds``
``(batch, d)``; the text tower takes ``input_ids`` ``(batch, length)`` int64 and gives
``text_embeds``. Outputs are not normalised. Where the model allows, the text tower has a dynamic
length and runs only the positions it is given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from search_back.encoders.cpu import adds_bytes_exactly
from search_back.encoders.description import (
    EncoderDescription,
    ExportRuntime,
    Precision,
    Tower,
)
from search_back.encoders.export.check import LEAST_COSINE, Inputs, Reference, check_tower
from search_back.encoders.export.int8 import fold_quick_gelu, harm, quantise
from search_back.encoders.export.onnx import data_file, dynamic, save, store_half, trace
from search_back.encoders.export.samples import Samples, bundled_samples
from search_back.encoders.runtimes import OpenTower, tower_opener
from search_back.encoders.sources import SourceModel
from search_back.errors import ConfigError, ModelUnavailable

__all__ = ["LEAST_COSINE", "Exporter", "Samples", "bundled_samples", "export_encoder"]

Report = Callable[[str], None]
_MOST: Final = 1 << 16
_NAMES: Final[dict[Tower, tuple[str, str]]] = {
    "image": ("pixel_values", "image_embeds"),
    "text": ("input_ids", "text_embeds"),
}
_TRIES: Final = 5


class Exporter:
    """Writes the exports of one model for one runtime.

    The towers are traced, and torch is asked for its vectors, once for all precisions.
    ``samples``: the inputs that the towers are compared with torch on. ``report`` is told each
    step. Not for several threads at once.
    """

    def __init__(
        self,
        source: SourceModel,
        *,
        samples: Samples,
        runtime: ExportRuntime = "onnx",
        report: Report = lambda step: None,
    ) -> None:
        _need("onnx", "onnxscript")
        self._source = source
        self._runtime = runtime
        self._report = report
        self._inputs = Inputs.of(source, samples)
        self._reference = Reference(source, self._inputs)
        self._traced: dict[Tower, Any] = {}

    def write(
        self, folder: Path, *, precision: Precision = "fp32", least_cosine: float | None = None
    ) -> EncoderDescription:
        """Write the towers, the tokenizer and ``encoder.json`` into ``folder``.

        ``least_cosine``: how close each vector must come to torch's, by default
        ``LEAST_COSINE``; for int8 the products that hurt most stay in float32 until it is reached.
        Raises ``ConfigError`` for a precision that the runtime has not, ``ModelUnavailable``
        where an exported tower differs from torch.
        """
        if self._runtime == "onnx" and precision == "bf16":
            raise ConfigError(
                "ONNX Runtime does not compute in bf16",
                remedy="give --precision fp16 or int8, or --runtime openvino",
            )
        source = self._source
        least = LEAST_COSINE[precision] if least_cosine is None else least_cosine
        folder.mkdir(parents=True, exist_ok=True)
        kinds: tuple[Tower, ...] = ("text",) if source.image is None else ("image", "text")
        suffix = "onnx" if self._runtime == "onnx" else "xml"
        towers: dict[Tower, str] = {kind: f"{kind}.{suffix}" for kind in kinds}
        checks: dict[str, Any] = {"inputs": len(self._inputs.pixels) + len(self._inputs.ids)}
        for kind, name in towers.items():
            checks |= self._write_tower(kind, folder / name, precision, least)
        about = EncoderDescription(
            name=source.name,
            weights_sha256=source.weights_sha256,
            dimension=source.dimension,
            preprocessing=source.preprocessing,
            tokenizer=source.tokenizer.save(folder),
            text_positions=source.text_positions,
            towers=towers,
            runtime=self._runtime,
            precision=precision,
            logit_scale=source.logit_scale,
            checks=checks,
            source=source.origin,
        )
        about.write(folder)
        return about

    def _write_tower(
        self, kind: Tower, file: Path, precision: Precision, least: float
    ) -> dict[str, Any]:
        """Write a tower and compare it with torch; what to record of it."""
        if self._runtime == "openvino":
            self._write_openvino(kind, file, precision)
        elif precision == "int8":
            return self._write_int8(kind, file, least)
        else:
            model = self._model(kind)
            store_half(model, lossy=precision == "fp16")
            save(model, file)
        self._report(f"{kind} tower, {precision}: comparing with torch")
        return check_tower(kind, self._open(file), self._reference, least)

    def _write_int8(self, kind: Tower, file: Path, least: float) -> dict[str, Any]:
        """Quantise as many products as ``least`` allows, those that are harmed least first."""

        bits = 8 if adds_bytes_exactly() else 7

        def write(keep: list[str]) -> OpenTower:
            model = self._model(kind)
            fold_quick_gelu(model)
            quantise(model, keep=keep, bits=bits)
            store_half(model, lossy=True)
            save(model, file)
            return self._open(file)

        self._report(f"{kind} tower, int8: quantising")
        tower, kept = write([]), 0
        cosine = self._reference.least_cosine(kind, tower)
        if cosine < least:
            self._report(f"{kind} tower, int8: cosine {cosine:.5f}, looking for what hurts most")
            harmed = harm(self._model(kind), {_NAMES[kind][0]: self._inputs.few(kind)})
            ranked = sorted(harmed, key=harmed.__getitem__, reverse=True)
            # The fewest that reach the goal, to within what a few tries can tell.
            low, kept = 0, len(ranked)
            for _ in range(_TRIES):
                middle = (low + kept) // 2
                if middle == low:
                    break
                cosine = self._reference.least_cosine(kind, write(ranked[:middle]))
                self._report(
                    f"{kind} tower, int8: cosine {cosine:.5f} with {middle} of {len(ranked)} "
                    "products in fp32"
                )
                low, kept = (low, middle) if cosine >= least else (middle, kept)
            tower = write(ranked[:kept])
        checks = check_tower(kind, tower, self._reference, least)
        return {**checks, f"{kind}_products_in_fp32": kept, "weight_bits": bits}

    def _write_openvino(self, kind: Tower, file: Path, precision: Precision) -> None:
        from search_back.encoders.export.openvino import write_openvino

        traced = file.with_name(f".{kind}.onnx")
        try:
            save(self._model(kind), traced)
            write_openvino(traced, file, precision=precision)
        finally:
            traced.unlink(missing_ok=True)
            data_file(traced).unlink(missing_ok=True)

    def _open(self, file: Path) -> OpenTower:
        return tower_opener(self._runtime)(file)

    def _model(self, kind: Tower) -> Any:
        """The traced tower in float32; the caller's to change."""
        if kind not in self._traced:
            self._report(f"{kind} tower: tracing")
            contrib = self._runtime == "onnx"
            self._traced[kind] = _trace(self._source, kind, self._inputs, contrib=contrib)
        return copy.deepcopy(self._traced[kind])


def export_encoder(
    source: SourceModel,
    folder: Path,
    *,
    samples: Samples,
    runtime: ExportRuntime = "onnx",
    precision: Precision = "fp32",
    least_cosine: float | None = None,
) -> EncoderDescription:
    """One export of one model: ``Exporter`` in a single call."""
    exporter = Exporter(source, samples=samples, runtime=runtime)
    return exporter.write(folder, precision=precision, least_cosine=least_cosine)


def _trace(source: SourceModel, kind: Tower, inputs: Inputs, *, contrib: bool) -> Any:
    import torch

    shape = {0: dynamic("batch", 1, _MOST)}
    if kind == "image":
        tower, example = source.image, torch.from_numpy(inputs.pixels[:2])
    else:
        tower, example = source.text, torch.from_numpy(inputs.ids[:2])
        if source.text_positions != "all":
            context = inputs.ids.shape[1]
            shape[1] = dynamic("length", 2, context)
            # Traced at a length that is neither end of the range, so that neither is built in.
            example = example[:, : max(3, context // 2)]
    assert tower is not None
    return trace(tower, example, names=_NAMES[kind], shape=shape, contrib=contrib)


def _need(*modules: str) -> None:
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            raise ModelUnavailable(
                f"exporting needs {module}",
                value=str(error),
                remedy="pip install 'search_back[export]'",
            ) from error
