"""Encoders by name; the only place here that names concrete classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from search_back.encoders.description import EncoderDescription, ExportRuntime, Precision
from search_back.encoders.exports import find_export
from search_back.encoders.names import EncoderSpec, parse_name
from search_back.errors import ModelUnavailable
from search_back.interfaces import Encoder
from search_back.pictures import MAX_PIXELS, JpegDraft

if TYPE_CHECKING:
    from search_back.encoders.base import BaseEncoder

Runtime = Literal["auto", "torch", "onnx", "openvino"]
AnyPrecision = Literal["auto", "fp32", "fp16", "bf16", "int8"]
_NVIDIA: Final = Path("/dev/nvidiactl")


def load_encoder(
    name: str,
    *,
    runtime: Runtime = "auto",
    precision: AnyPrecision = "fp32",
    threads: int = 0,
    side_by_side: bool = False,
    jpeg_draft: JpegDraft = "off",
    max_pixels: int = MAX_PIXELS,
) -> Encoder:
    """The encoder of that name, ready to use.

    ``runtime``: ``auto`` takes an export where there is one, and torch otherwise; on a machine
    with an NVIDIA device torch goes first, unless ONNX Runtime can use the device too.
    ``precision``: of the computation; ``auto`` takes the fastest export there is, each of which
    was checked against torch. ``threads``: for one call; 0 leaves the choice to the runtime.
    ``side_by_side``: an export on the CPU gets one thread a call, for callers that make as many
    calls at a time as there are cores.
    ``jpeg_draft``: at what scale JPEGs are decoded. ``max_pixels``: of a picture.
    Raises ``ConfigError`` for an unknown name, ``ModelUnavailable`` for weights or exports that
    cannot be had.
    """
    spec = parse_name(name)
    folder = choose_export(spec, runtime=runtime, precision=precision)
    encoder: BaseEncoder
    if folder is not None:
        from search_back.encoders.exported import ExportedEncoder

        encoder = ExportedEncoder(folder, name=spec.name, threads=threads)
        if side_by_side and encoder.runtime.device == "cpu":
            encoder = ExportedEncoder(folder, name=spec.name, threads=1)
    else:
        from search_back.encoders.sources import load_source
        from search_back.encoders.torch import TorchEncoder

        encoder = TorchEncoder(
            load_source(spec),
            precision="fp32" if precision == "auto" else precision,
            threads=threads,
        )
    encoder.draft = jpeg_draft
    encoder.max_pixels = max_pixels
    encoder.decode_workers = threads
    return encoder


def choose_export(spec: EncoderSpec, *, runtime: Runtime, precision: AnyPrecision) -> Path | None:
    """The folder of the export that ``load_encoder`` takes; None: torch runs the model.

    Raises ``ModelUnavailable`` where neither can. Loads nothing.
    """
    folder = None if runtime == "torch" else _exported(spec, runtime, precision)
    needs_export = runtime in ("onnx", "openvino") or precision == "int8" or not spec.has_source
    if folder is None and needs_export:
        raise ModelUnavailable(
            f"the model {spec.name!r} has no export for runtime {runtime}, precision {precision}",
            remedy=f"search-back export --clip-model {spec.name}"
            + ("" if runtime in ("auto", "torch") else f" --runtime {runtime}")
            + ("" if precision == "auto" else f" --precision {precision}"),
        )
    return folder


def _exported(spec: EncoderSpec, runtime: Runtime, precision: AnyPrecision) -> Path | None:
    """The folder of the export to use: one in the cache, or the model's own."""
    kind: ExportRuntime | None = "onnx" if runtime == "onnx" else None
    if runtime == "openvino":
        kind = "openvino"
    wanted: Precision | None = None if precision == "auto" else precision
    if runtime != "auto" or not (spec.has_source and _torch_alone_has_a_gpu()):
        export = find_export(spec.name, runtime=kind, precision=wanted)
        if export is not None:
            return export.folder
    if spec.folder is None:
        return None
    own = EncoderDescription.read(spec.folder)
    fits = kind in (None, own.runtime) and wanted in (None, own.precision)
    # Where a folder holds nothing but the export, it is what was asked for.
    return spec.folder if fits or (runtime == "auto" and not spec.has_source) else None


def _torch_alone_has_a_gpu() -> bool:
    if not _NVIDIA.exists():
        return False
    from search_back.encoders.runtimes import tower_opener

    return tower_opener("onnx").device() != "cuda"
