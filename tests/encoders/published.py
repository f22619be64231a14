"""Folders as models of transformers are published, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from search_back.encoders import parse_name
from search_back.encoders.sources import SourceModel, load_source
from search_back.encoders.torch import TorchEncoder
from search_back.types import FloatArray
from search_back.vectors import normalise
from tests import tiny_models as tiny

PAIRS: dict[str, Callable[[Path], Path]] = {
    "clip": tiny.hf_clip,
    "clip, old end token": lambda folder: tiny.hf_clip(folder, legacy=True),
    "metaclip 2": tiny.hf_metaclip2,
    "siglip": tiny.hf_siglip,
    "siglip 2": lambda folder: tiny.hf_siglip(folder, version=2),
    "chinese clip": tiny.hf_chinese_clip,
    "altclip": tiny.hf_altclip,
}
TEXTS_ONLY: dict[str, Callable[[Path], Path]] = {
    "m-clip": tiny.mclip,
    "sentence-transformers": tiny.sentence_transformer,
}


def encoder_of(source: SourceModel) -> TorchEncoder:
    return TorchEncoder(source, device="cpu")


def whole_run(source: SourceModel, texts: list[str]) -> FloatArray:
    """Unit rows of the model's own run over the whole context."""
    tokens = source.tokenizer(texts)
    missing = source.tokenizer.context_length - tokens.ids.shape[1]
    ids = np.pad(tokens.ids, ((0, 0), (0, missing)), constant_values=tokens.pad)
    with torch.inference_mode():
        return normalise(source.whole_text(torch.from_numpy(ids)).numpy())


def load(folder: Path) -> SourceModel:
    return load_source(parse_name(f"hf:{folder}"))
