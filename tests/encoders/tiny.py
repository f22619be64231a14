"""Tiny open_clip models with random weights, of every kind that towers come in."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.sources import SourceModel
from search_back.encoders.sources.open_clip_import import open_clip
from search_back.encoders.sources.towers import (
    image_tower,
    is_causal,
    text_tower,
    whole_image,
    whole_text,
)
from search_back.types import Tokens

CONTEXT, WORDS, DIMENSION = 12, 50, 24
VISION = {"image_size": 32, "patch_size": 16, "layers": 2, "width": 32, "head_width": 16}
TEXT = {"context_length": CONTEXT, "vocab_size": WORDS, "width": 32, "heads": 2, "layers": 2}


def tiny(kind: str = "CLIP", *, vision: dict[str, Any] | None = None, **text: Any) -> Any:
    """An open_clip model of that class, with changes to its configurations."""
    torch.manual_seed(0)
    make = getattr(open_clip().model, kind)
    clip = make(embed_dim=DIMENSION, vision_cfg=VISION | (vision or {}), text_cfg=TEXT | text)
    # The projection of fresh weights is small, and biases are zero: neither would show a mistake.
    with torch.no_grad():
        for name, weights in clip.named_parameters():
            if name.endswith("bias"):
                weights.normal_(std=0.1)
    return clip.eval()


def token_rows(*lengths: int) -> Any:
    """Rows of random words, each with its end token, padded to the context."""
    rows = np.zeros((len(lengths), CONTEXT), np.int64)
    rng = np.random.default_rng(0)
    for row, length in zip(rows, lengths, strict=True):
        row[: length - 1] = rng.integers(1, WORDS - 1, length - 1)
        row[length - 1] = WORDS - 1
    return rows


class WordTokenizer:
    """One token a word, by its length; then the end token."""

    context_length = CONTEXT
    key = "words"

    def __call__(self, texts: Any) -> Tokens:
        rows = [[1 + len(word) % (WORDS - 2) for word in text.split()] for text in texts]
        most = CONTEXT - 1
        return Tokens.of_rows(
            [[*row[:most], WORDS - 1] for row in rows], cut=[len(row) > most for row in rows]
        )

    def save(self, folder: Any) -> dict[str, Any]:
        return {"kind": "words", "context_length": CONTEXT}


def source_of(clip: Any, *, name: str = "tiny") -> SourceModel:
    """What a loader makes of a model."""
    return SourceModel(
        name=name,
        image=image_tower(clip),
        text=text_tower(clip),
        whole_text=whole_text(clip),
        whole_image=whole_image(clip),
        dimension=DIMENSION,
        preprocessing=Preprocessing(image_size=(32, 32)),
        tokenizer=WordTokenizer(),
        text_positions="to_end" if is_causal(clip) else "all",
        weights_sha256="0" * 64,
    )


def pictures(count: int) -> list[bytes]:
    """Files of noise."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (40, 48, 3), np.uint8)).save(buffer, "PNG")
        made.append(buffer.getvalue())
    return made
