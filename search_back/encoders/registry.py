"""Encoders by name; the only place here that names concrete classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search_back.errors import ConfigError
from search_back.interfaces import Encoder
from search_back.models import MODEL_NAME, model_folder

Runtime = Literal["auto", "torch", "onnx"]

FORMS = (
    f"{MODEL_NAME} (bundled), ViT-B/32 (OpenAI's names), open_clip:MODEL/pretrained-tag, "
    "open_clip:MODEL//path/to/checkpoint.pt, local-dir:FOLDER, or the folder of an exported model"
)
# OpenAI's weights were trained with QuickGELU; open_clip keeps that under names of its own.
_OPENAI = {
    "RN50": "RN50-quickgelu",
    "RN101": "RN101-quickgelu",
    "RN50x4": "RN50x4-quickgelu",
    "RN50x16": "RN50x16-quickgelu",
    "RN50x64": "RN50x64-quickgelu",
    "ViT-B/32": "ViT-B-32-quickgelu",
    "ViT-B/16": "ViT-B-16-quickgelu",
    "ViT-L/14": "ViT-L-14-quickgelu",
    "ViT-L/14@336px": "ViT-L-14-336-quickgelu",
}


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A name taken apart: an exported ``folder``, or an open_clip ``architecture``.

    ``name`` holds paths in full: it is written beside embeddings and loaded from anywhere.
    """

    name: str
    folder: Path | None = None
    architecture: str | None = None
    pretrained: str | None = None


def parse_name(name: str) -> EncoderSpec:
    """Take a name of one of the forms in ``FORMS`` apart; raises ``ConfigError`` for others."""
    if name == MODEL_NAME:
        return EncoderSpec(name, folder=model_folder(), architecture=f"local-dir:{model_folder()}")
    if name in _OPENAI:
        return EncoderSpec(name, architecture=_OPENAI[name], pretrained="openai")
    rest = name.removeprefix("open_clip:")
    if rest.startswith("local-dir:"):
        folder = Path(rest.removeprefix("local-dir:")).resolve()
        exported = folder if (folder / "encoder.json").is_file() else None
        full = f"local-dir:{folder}"
        return EncoderSpec(full, folder=exported, architecture=full)
    if name.startswith("open_clip:"):
        architecture, _, pretrained = rest.partition("/")
        if Path(pretrained).is_file():
            pretrained = str(Path(pretrained).resolve())
            name = f"open_clip:{architecture}/{pretrained}"
        return EncoderSpec(name, architecture=architecture, pretrained=pretrained or None)
    if (Path(name) / "encoder.json").is_file():
        folder = Path(name).resolve()
        return EncoderSpec(str(folder), folder=folder)
    raise ConfigError("no model of that name", value=name, remedy=f"give {FORMS}")


def load_encoder(name: str, *, runtime: Runtime = "auto", threads: int = 0) -> Encoder:
    """The encoder of that name, ready to use.

    ``runtime``: ``auto`` takes exported towers where there are some, and torch otherwise.
    ``threads``: for one call; 0 leaves the choice to the runtime. Raises ``ConfigError`` for an
    unknown name, ``ModelUnavailable`` for weights that cannot be had.
    """
    spec = parse_name(name)
    if spec.folder is not None and runtime != "torch":
        from search_back.encoders.onnx import OnnxEncoder

        return OnnxEncoder(spec.folder, name=spec.name, threads=threads)
    if spec.architecture is None or runtime == "onnx":
        raise ConfigError(f"{name} has no towers for runtime {runtime}", remedy="use another")
    from search_back.encoders.torch import TorchEncoder

    return TorchEncoder(spec.name, spec.architecture, spec.pretrained, threads=threads)
