"""Towers that stop where the text stops and leave out what is not read equal the whole ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from search_back.encoders.sources import lean, towers
from search_back.encoders.sources.open_clip_import import open_clip
from tests.encoders.tiny import CONTEXT, WORDS, tiny, token_rows

CAUSAL = {
    "clip": ("CLIP", {}),
    "quick gelu": ("CLIP", {"act_kwargs": {}, "quick_gelu": True}),
    "layer scale": ("CLIP", {"ls_init_value": 0.1}),
    "custom text": ("CustomTextCLIP", {}),
    "fixed end token": (
        "CustomTextCLIP",
        {"pool_type": "eos", "eos_id": WORDS - 1, "proj_type": "linear"},
    ),
    "no projection": ("CustomTextCLIP", {"proj_type": "none", "width": 24}),
    "blocks of another kind": ("CLIP", {"block_type": "custom", "qk_norm": True}),
}


def build(kind: str, text: dict[str, Any]) -> Any:
    quick = text.pop("quick_gelu", False)
    text.pop("act_kwargs", None)
    clip = tiny(kind, **text)
    if quick:
        for block in clip.transformer.resblocks:
            block.mlp.gelu = open_clip().transformer.QuickGELU()
    return clip


@pytest.mark.parametrize(("kind", "text"), CAUSAL.values(), ids=CAUSAL)
def test_short_text_tower_equals_the_whole_one(kind: str, text: dict[str, Any]) -> None:
    clip = build(kind, dict(text))
    assert towers.is_causal(clip)
    tower = towers.text_tower(clip)
    for length in range(3, CONTEXT + 1):
        ids = torch.from_numpy(token_rows(length))
        with torch.no_grad():
            difference = tower(ids[:, :length]) - clip.encode_text(ids)
        assert difference.abs().max() <= 1e-5


def test_texts_of_several_lengths_run_together() -> None:
    clip = tiny()
    ids = torch.from_numpy(token_rows(3, 9, 5, 12))
    with torch.no_grad():
        difference = towers.text_tower(clip)(ids) - clip.encode_text(ids)
    assert difference.abs().max() <= 1e-5


@pytest.mark.parametrize(
    "text", [{"no_causal_mask": True}, {"embed_cls": True}, {"pool_type": "last"}]
)
def test_towers_that_read_the_whole_text_are_not_causal(text: dict[str, Any]) -> None:
    clip = tiny("CustomTextCLIP", **text)
    assert not towers.is_causal(clip)
    ids = torch.from_numpy(token_rows(5, 7))
    with torch.no_grad():
        assert torch.equal(towers.text_tower(clip)(ids), clip.encode_text(ids))


IMAGES = {
    "class token": ({}, True),
    "oblong": ({"image_size": [32, 64]}, True),
    "layer scale": ({"ls_init_value": 0.1}, True),
    "no norm before": ({"no_ln_pre": True}, True),
    "norm after pooling": ({"final_ln_after_pool": True}, True),
    "mean of the patches": ({"pool_type": "avg"}, False),
    "attention pooling": ({"attentional_pool": True, "attn_pooler_queries": 4}, False),
    "blocks of another kind": ({"block_type": "custom", "qk_norm": True}, False),
    "convolutions": ({"layers": [1, 1, 1, 1], "patch_size": None}, False),
}


@pytest.mark.parametrize(("vision", "is_lean"), IMAGES.values(), ids=IMAGES)
def test_image_tower_equals_the_whole_one(vision: dict[str, Any], is_lean: bool) -> None:
    clip = tiny(vision=dict(vision))
    tower = towers.image_tower(clip)
    assert isinstance(tower, lean.LeanImage) == is_lean
    size = vision.get("image_size", [32, 32])
    pixels = torch.randn(3, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = tower(pixels) - clip.encode_image(pixels)
    assert difference.abs().max() <= 1e-5
