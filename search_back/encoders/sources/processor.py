"""How transformers prepares pictures, from the file in a model's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from search_back.encoders.preprocess import OPENAI_MEAN, OPENAI_STD, Preprocessing
from search_back.encoders.resize import ResizeMode
from search_back.errors import ModelUnavailable
from search_back.files import read_json

PROCESSOR_FILE: Final = "preprocessor_config.json"
# Pillow's numbers.
_FILTERS: Final = {2: "bilinear", 3: "bicubic"}
_HALF: Final = (0.5, 0.5, 0.5)


def read_preprocessing(folder: Path, *, siglip: bool) -> Preprocessing:
    """What ``preprocessor_config.json`` asks for; ``siglip``: whose defaults it has.

    Raises ``ModelUnavailable`` where there is none, and for what is not known.
    """
    about = _processor(folder)
    target = _target(about)
    resample = _FILTERS.get(about.get("resample", 3))
    scale = about.get("rescale_factor", 1 / 255) if about.get("do_rescale", True) else 1
    if target is None or resample is None or abs(scale * 255 - 1) > 1e-3:
        raise ModelUnavailable(
            f"{folder} asks for a preprocessing of pictures that is not known", value=about
        )
    mean = about.get("image_mean", _HALF if siglip else OPENAI_MEAN)
    std = about.get("image_std", _HALF if siglip else OPENAI_STD)
    if not about.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    image_size, mode = target
    return Preprocessing(
        image_size=image_size,
        resize_mode=mode,
        interpolation=resample,
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
    )


def _target(about: Mapping[str, Any]) -> tuple[tuple[int, int], ResizeMode] | None:
    """The size in pixels and how it is come to; None for a way that is not known.

    A number as ``size`` means the shortest edge.
    """
    size, crop = _sides(about.get("size"), "shortest_edge"), _sides(about.get("crop_size"), "")
    short = size.get("shortest_edge")
    height, width = size.get("height", short), size.get("width", short)
    crops = about.get("do_center_crop", short is not None)
    if height is None or width is None or not about.get("do_resize", True):
        return None
    if crops and (crop.get("height"), crop.get("width")) != (height, width):
        return None
    if short is not None and not crops:
        return None  # pictures of all shapes
    return (int(height), int(width)), "squash" if short is None else "shortest"


def _sides(value: object, name: str) -> Mapping[str, Any]:
    if isinstance(value, int):
        return {name: value} if name else {"height": value, "width": value}
    return value if isinstance(value, Mapping) else {}


def _processor(folder: Path) -> dict[str, Any]:
    file = folder / PROCESSOR_FILE
    if file.is_file():
        return read_json(file)
    file = folder / "processor_config.json"
    about = read_json(file).get("image_processor") if file.is_file() else None
    if not isinstance(about, Mapping):
        raise ModelUnavailable(
            f"{folder} does not say how pictures are prepared",
            remedy=f"put its {PROCESSOR_FILE} there",
        )
    return dict(about)
