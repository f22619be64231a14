"""The two towers of an open_clip model as modules of their own.

A causal text tower reads its feature at the end-of-text token, which positions after it cannot
change: here such a tower runs only the positions it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from search_back.errors import ModelUnavailable

if TYPE_CHECKING:
    from torch import Tensor, nn


def is_causal(clip: Any) -> bool:
    """Whether the text tower may stop where the text stops."""
    text = getattr(clip, "text", clip)
    return (
        getattr(text, "attn_mask", None) is not None
        and _pool_type(clip) in ("argmax", "eos")
        and getattr(text, "cls_emb", None) is None
    )


def _pool_type(clip: Any) -> str | None:
    pool: str | None = getattr(
        clip, "text_pool_type", getattr(getattr(clip, "text", clip), "pool_type", None)
    )
    return pool


def end_positions(clip: Any, input_ids: Tensor) -> Tensor:
    """Where each row's end-of-text token is: its largest token, or one with a fixed number."""
    if _pool_type(clip) == "argmax":
        return input_ids.argmax(dim=-1)
    text = getattr(clip, "text", clip)
    end_token: int = getattr(clip, "text_eos_id", getattr(text, "eos_id", 2))
    return input_ids.eq(end_token).int().argmax(dim=-1)


def image_tower(clip: Any) -> nn.Module:
    """`pixel_values` to `image_embeds`."""
    from search_back.encoders.sources.lean import LeanImage, fits_image

    return LeanImage(clip.visual).eval() if fits_image(clip.visual) else whole_image(clip)


def whole_image(clip: Any) -> nn.Module:
    """`pixel_values` to `image_embeds` by the model's own code."""
    from torch import nn

    class WholeImage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = clip

        def forward(self, pixel_values: Tensor) -> Tensor:
            features: Tensor = self.clip.encode_image(pixel_values)
            return features

    return WholeImage().eval()


def text_tower(clip: Any) -> nn.Module:
    """`input_ids` to `text_embeds`: over the given positions if causal, else the model's own way.

    Raises `ModelUnavailable` for a causal tower whose parts are not those of open_clip.
    """
    from search_back.encoders.sources.lean import LeanText, fits_text

    if not is_causal(clip):
        return whole_text(clip)
    text = getattr(clip, "text", clip)
    if fits_text(text):
        return LeanText(text, lambda input_ids: end_positions(clip, input_ids)).eval()
    return _causal_text_tower(text, lambda input_ids: end_positions(clip, input_ids))


def whole_text(clip: Any) -> nn.Module:
    """`input_ids` to `text_embeds` by the model's own code, over its whole context."""
    from torch import nn

    class WholeText(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = clip

        def forward(self, input_ids: Tensor) -> Tensor:
            features: Tensor = self.clip.encode_text(input_ids)
            return features

    return WholeText().eval()


def _causal_text_tower(text: Any, ends: Callable[[Tensor], Tensor]) -> nn.Module:
    """For causal transformers with blocks of their own kind."""
    import torch
    from torch import nn

    parts = ("token_embedding", "positional_embedding", "transformer", "ln_final", "attn_mask")
    absent = [name for name in parts if not hasattr(text, name)]
    if absent:
        raise ModelUnavailable("the text tower is not one of open_clip's", value=absent)

    class CausalText(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token_embedding = text.token_embedding
            self.positional_embedding = text.positional_embedding
            self.transformer = text.transformer
            self.ln_final = text.ln_final
            self.projection = text.text_projection
            self.register_buffer("mask", text.attn_mask, persistent=False)

        def forward(self, input_ids: Tensor) -> Tensor:
            length = input_ids.shape[1]
            hidden = self.token_embedding(input_ids) + self.positional_embedding[:length]
            mask = self.mask[:length, :length]  # type: ignore[index]
            hidden = self.transformer(hidden, attn_mask=mask)
            rows = torch.arange(input_ids.shape[0], device=input_ids.device)
            # The layer norm works position by position, so the one that is read is enough.
            features: Tensor = self.ln_final(hidden[rows, ends(input_ids)])
            if isinstance(self.projection, nn.Linear):
                features = self.projection(features)
            elif self.projection is not None:
                features = features @ self.projection
            return features

    return CausalText().eval()
