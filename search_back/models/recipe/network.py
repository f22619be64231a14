"""The network: a small open_clip CLIP, its configuration and its captions' tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search_back.encoders.sources.open_clip_import import open_clip
from search_back.encoders.sources.towers import text_tower
from search_back.models.recipe.augment import IMAGE
from search_back.models.recipe.bpe import MERGES, vocabulary_size

CONTEXT = 32
DIMENSION = 192
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

MODEL_CONFIG: dict[str, Any] = {
    "embed_dim": DIMENSION,
    "vision_cfg": {
        "image_size": IMAGE,
        "layers": [1, 1, 1, 1],
        "width": 16,
        "patch_size": None,
        "head_width": 64,
    },
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": vocabulary_size(MERGES),
        "width": 128,
        "heads": 4,
        "layers": 2,
    },
}

OPEN_CLIP_CONFIG: dict[str, Any] = {
    "model_cfg": MODEL_CONFIG,
    "preprocess_cfg": {
        "size": [IMAGE, IMAGE],
        "mode": "RGB",
        "mean": list(MEAN),
        "std": list(STD),
        "interpolation": "bilinear",
        "resize_mode": "squash",
        "fill_color": 0,
    },
}


def build_model() -> Any:
    """A new `open_clip.CLIP`; its image tower wants channels-last input."""
    clip = open_clip().model.CLIP(**MODEL_CONFIG)
    clip.visual.to(memory_format=torch.channels_last)
    return clip


def pixel_values(pictures: Tensor) -> Tensor:
    """`(b, 3, h, w)` in [0, 1], normalised for the image tower, channels last."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)


class Tokens:
    """Token rows of texts, as long as the longest of them.

    Remembers the tokens of each word: no token of this format crosses a space, and cleaning and
    merging cost more than the network.
    """

    def __init__(self, vocabulary: Path) -> None:
        tokenizer = open_clip().tokenizer.SimpleTokenizer
        self._tokenizer: Any = tokenizer(bpe_path=str(vocabulary), context_length=CONTEXT)
        self._known: dict[str, list[int]] = {}

    def row(self, text: str) -> list[int]:
        """Start token, text, end token: at most 32."""
        tokens: list[int] = []
        for word in text.split():
            if word not in self._known:
                self._known[word] = self._tokenizer.encode(word)
            tokens.extend(self._known[word])
        ends = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        return [ends[0], *tokens[: CONTEXT - 2], ends[1]]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = [self.row(text) for text in texts]
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
        return tokens


def encode_texts(clip: Any, tokens: Tokens, texts: Sequence[str], groups: int) -> Tensor:
    """Features of texts, run in groups of like length so that little padding is computed."""
    tower = text_tower(clip)
    order = sorted(range(len(texts)), key=lambda place: len(tokens.row(texts[place])))
    size = -(-len(texts) // groups)
    features = torch.cat(
        [
            tower(tokens([texts[place] for place in order[start : start + size]]))
            for start in range(0, len(order), size)
        ]
    )
    return features[torch.tensor(order).argsort()]
