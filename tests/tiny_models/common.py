"""Sizes, texts and small helpers of all tiny models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from search_back.encoders.sources.open_clip_import import quiet
from search_back.encoders.sources.open_clip_import import transformers as import_transformers

TEXTS = [
    "a photo of a dog",
    "",
    "A Red Car, two people & a tree!",
    "eine katze auf dem dach",
    "кошка и собака играют",
    "猫と犬が遊ぶ",
    "un perro rojo en la casa",
    "मेरा कुत्ता",
    "مرحبا بالعالم",
    "100 000 km/h",
    "a dog " * 60,
]
SIZE, CONTEXT, DIMENSION = 32, 16, 24


@contextmanager
def silent_transformers() -> Iterator[ModuleType]:
    transformers = import_transformers()
    with quiet(transformers):
        yield transformers


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def random_model(class_: Any, config: Any, seed: int = 0) -> Any:
    """A model whose texts differ: the usual start, near zero, would make all vectors alike."""
    import torch

    torch.manual_seed(seed)
    model = class_(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
    return model.eval()
