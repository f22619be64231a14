"""``encoder.json``: what a folder with exported towers says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from search_back.encoders.base import TextPositions
from search_back.encoders.preprocess import Preprocessing
from search_back.errors import CorruptFile, ModelUnavailable, SearchBackError
from search_back.files import read_json, write_json

ENCODER_FILE: Final = "encoder.json"
Tower = Literal["image", "text"]
ExportRuntime = Literal["onnx", "openvino"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]


@dataclass(frozen=True, slots=True)
class EncoderDescription:
    """A model's exported towers and all that a reader without torch needs.

    ``precision``: of the computation. ``tokenizer``: as ``Tokenizer.save`` gave it.
    ``towers``: file names; a model of texts alone has no ``image``. ``checks``: what comparing the
    export with torch found. ``source``: where the weights came from, to tell a stale export.
    """

    name: str
    weights_sha256: str
    dimension: int
    preprocessing: Preprocessing
    tokenizer: Mapping[str, Any]
    text_positions: TextPositions
    towers: Mapping[Tower, str]
    runtime: ExportRuntime = "onnx"
    precision: Precision = "fp32"
    logit_scale: float = 1.0
    checks: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> EncoderDescription:
        """Raises ``ModelUnavailable`` where there is none, ``CorruptFile`` for a broken one."""
        path = folder / ENCODER_FILE
        if not path.is_file():
            raise ModelUnavailable(
                f"{folder} holds no {ENCODER_FILE}", remedy="give the folder of an exported model"
            )
        about = read_json(path)
        try:
            towers = {cast("Tower", k): str(about["towers"][k]) for k in about["towers"]}
            return cls(
                name=str(about["name"]),
                weights_sha256=str(about["weights_sha256"]),
                dimension=int(about["dimension"]),
                preprocessing=Preprocessing.from_json(about["preprocessing"]),
                tokenizer=dict(about["tokenizer"]),
                text_positions=_one_of(about["text_positions"], TextPositions),
                towers={k: v for k, v in towers.items() if k in get_args(Tower)},
                runtime=_one_of(about.get("runtime", "onnx"), ExportRuntime),
                precision=_one_of(about.get("precision", "fp32"), Precision),
                logit_scale=float(about.get("logit_scale", 1.0)),
                checks=dict(about.get("checks", {})),
                source=dict(about.get("source", {})),
            )
        except (KeyError, TypeError, ValueError, SearchBackError) as error:
            raise not_an_encoder(folder, error) from error

    def write(self, folder: Path) -> None:
        write_json(
            folder / ENCODER_FILE,
            {
                "name": self.name,
                "weights_sha256": self.weights_sha256,
                "dimension": self.dimension,
                "runtime": self.runtime,
                "precision": self.precision,
                "preprocessing": self.preprocessing.to_json(),
                "tokenizer": dict(self.tokenizer),
                "text_positions": self.text_positions,
                "logit_scale": self.logit_scale,
                "towers": dict(self.towers),
                "checks": dict(self.checks),
                **({"source": dict(self.source)} if self.source else {}),
            },
        )


def not_an_encoder(folder: Path, error: Exception) -> CorruptFile:
    """For a description that lacks something or names what cannot be read."""
    return CorruptFile(
        f"{folder / ENCODER_FILE} does not describe an encoder",
        value=repr(error),
        remedy="export the model again",
    )


def _one_of(value: object, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"{value!r} is not one of {', '.join(get_args(choices))}")
    return value
