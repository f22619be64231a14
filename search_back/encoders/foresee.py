"""What would run a model, told without loading it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_back.encoders.description import EncoderDescription
from search_back.encoders.names import EncoderSpec, parse_name
from search_back.encoders.registry import AnyPrecision, Runtime, choose_export
from search_back.errors import CorruptFile
from search_back.files import read_json

_LOCAL = "local-dir:"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """An encoder that is not loaded: ``dimension`` is None where only its weights tell it."""

    name: str
    runtime: str
    precision: str
    dimension: int | None


def foresee(name: str, *, runtime: Runtime = "auto", precision: AnyPrecision = "fp32") -> Foreseen:
    """What ``load_encoder`` would give for the same arguments; it raises the same errors.

    Imports no torch, and does not look whether weights can be had.
    """
    spec = parse_name(name)
    folder = choose_export(spec, runtime=runtime, precision=precision)
    if folder is not None:
        about = EncoderDescription.read(folder)
        return Foreseen(spec.name, about.runtime, about.precision, about.dimension)
    return Foreseen(
        spec.name, "torch", "fp32" if precision == "auto" else precision, _dimension(spec)
    )


def _dimension(spec: EncoderSpec) -> int | None:
    """From the configuration that lies beside the weights, or in open_clip's package."""
    if spec.repository is not None:
        return _number(_read(Path(spec.repository) / "config.json").get("projection_dim"))
    architecture = spec.architecture or ""
    if architecture.startswith(_LOCAL):
        path = Path(architecture.removeprefix(_LOCAL)) / "open_clip_config.json"
        about = _read(path).get("model_cfg")
        return _number(about.get("embed_dim")) if isinstance(about, dict) else None
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        return None
    config = Path(package.origin).parent / "model_configs" / f"{architecture}.json"
    return _number(_read(config).get("embed_dim"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, CorruptFile):
        return {}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
