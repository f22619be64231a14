"""The transformers of CLIP with nothing in them that the features do not need.

The same weights and, to rounding, the same features as open_clip's modules, in fewer steps:

- in the last layer only the position whose feature is read goes through the feed-forward part,
  and of a picture only its query is made;
- the patches of a picture are a matrix product rather than a convolution, so that they can be
  quantised like the rest.

Exported for ONNX Runtime, attention is that runtime's own operator (``contrib_operators``):
a block is then ten nodes instead of forty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

Rows = Callable[[Tensor], Tensor]
"""Picks the positions whose features are read: ``(n, length, d)`` → ``(n, 1, d)``."""


class Block(nn.Module):
    """One layer, from the parts of an open_clip ``ResidualAttentionBlock``."""

    def __init__(self, block: Any, *, causal: bool) -> None:
        super().__init__()
        attention = block.attn
        self.heads: int = attention.num_heads
        self.causal = causal
        self.contrib = False
        self.ln_1, self.ln_2 = block.ln_1, block.ln_2
        self.scale_1, self.scale_2 = block.ls_1, block.ls_2
        self.in_weight, self.in_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out = attention.out_proj
        self.up, self.activation, self.down = block.mlp

    def forward(self, x: Tensor, rows: Rows | None = None) -> Tensor:
        """``(n, length, d)`` → the same, or only the positions of ``rows``."""
        normed = self.ln_1(x)
        # Of the last layer of a picture one query is enough. A text's queries are all made:
        # which positions one may see depends on its own.
        early = rows is not None and not self.causal
        asking = rows(normed) if rows is not None and early else normed
        width = x.shape[-1]
        attended = self._attention(
            F.linear(asking, self.in_weight[:width]),
            F.linear(normed, self.in_weight[width : 2 * width]),
            F.linear(normed, self.in_weight[2 * width :]),
        )
        if rows is not None:
            attended, x = attended if early else rows(attended), rows(x)
        x = x + self.scale_1(self.out(attended))
        widened = self.activation(self.up(self.ln_2(x)))
        result: Tensor = x + self.scale_2(self.down(widened))
        return result

    def _attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.contrib:
            attended: Tensor = torch.onnx.ops.symbolic(
                "com.microsoft::MultiHeadAttention",
                (query, key, value, self.in_bias),
                {"num_heads": self.heads, "unidirectional": int(self.causal)},
                dtype=query.dtype,
                shape=query.shape,
                version=1,
            )
            return attended
        biases = self.in_bias.chunk(3)
        query, key, value = (
            self._split(part + bias) for part, bias in zip((query, key, value), biases, strict=True)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return mixed.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        """``(n, length, d)`` → ``(n, heads, length, d / heads)``."""
        n, length, width = x.shape
        return x.reshape(n, length, self.heads, width // self.heads).transpose(1, 2)


class LeanText(nn.Module):
    """``input_ids (n, length)`` → ``(n, d)``; ``ends``: where each row's feature is read."""

    def __init__(self, text: Any, ends: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.token_embedding = text.token_embedding
        self.positional_embedding = text.positional_embedding
        self.blocks = _blocks(text.transformer, causal=True)
        self.ln_final = text.ln_final
        self.projection = text.text_projection
        self._ends = ends

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.token_embedding(input_ids) + self.positional_embedding[: input_ids.shape[1]]
        ends = self._ends(input_ids)[:, None, None].expand(-1, 1, x.shape[-1])
        x = _run(self.blocks, x, lambda all_: all_.gather(1, ends))
        return _project(self.ln_final(x)[:, 0], self.projection)


class LeanImage(nn.Module):
    """``pixel_values (n, 3, h, w)`` → ``(n, d)``: a ``VisionTransformer`` with a class token."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.patches = visual.conv1
        self.grid: tuple[int, int] = visual.grid_size
        self.patch: tuple[int, int] = visual.patch_size
        self.class_embedding = visual.class_embedding
        self.positional_embedding = visual.positional_embedding
        self.ln_pre, self.ln_post = visual.ln_pre, visual.ln_post
        self.blocks = _blocks(visual.transformer, causal=False)
        self.projection = visual.proj

    def forward(self, pixel_values: Tensor) -> Tensor:
        n, (rows, columns), (height, width) = pixel_values.shape[0], self.grid, self.patch
        pixels = pixel_values.reshape(n, 3, rows, height, columns, width)
        # One row of 3 × height × width a patch.
        pixels = pixels.permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, 3 * height * width)
        x = F.linear(pixels, self.patches.weight.flatten(1))
        first = self.class_embedding.expand(x.shape[0], 1, -1)
        x = self.ln_pre(torch.cat([first, x], dim=1) + self.positional_embedding)
        x = _run(self.blocks, x, lambda all_: all_[:, :1])
        return _project(self.ln_post(x)[:, 0], self.projection)


@contextmanager
def contrib_operators(tower: nn.Module) -> Iterator[None]:
    """Trace ``tower`` with ONNX Runtime's own attention, for the length of the block."""
    blocks = [module for module in tower.modules() if isinstance(module, Block)]
    for block in blocks:
        block.contrib = True
    try:
        yield
    finally:
        for block in blocks:
            block.contrib = False


def fits_text(text: Any) -> bool:
    """Whether ``LeanText`` computes what this causal text tower does."""
    parts = ("token_embedding", "positional_embedding", "transformer", "ln_final")
    return (
        all(hasattr(text, part) for part in parts)
        and hasattr(text, "text_projection")
        and not getattr(text, "use_pad_mask", False)
        and _plain(text.transformer)
    )


def fits_image(visual: Any) -> bool:
    """Whether ``LeanImage`` computes what this image tower does."""
    from open_clip.transformer import VisionTransformer

    return (
        type(visual) is VisionTransformer
        and visual.attn_pool is None
        and visual.pool_type == "tok"
        and not visual.output_tokens
        and visual.conv1.bias is None
        and _plain(visual.transformer)
    )


def _plain(transformer: Any) -> bool:
    from open_clip.transformer import ResidualAttentionBlock, Transformer

    return type(transformer) is Transformer and all(
        type(block) is ResidualAttentionBlock
        and block.attn.in_proj_weight is not None
        and block.attn.in_proj_bias is not None
        and block.attn.bias_k is None
        and len(block.mlp) == 3
        for block in transformer.resblocks
    )


def _blocks(transformer: Any, *, causal: bool) -> nn.ModuleList:
    return nn.ModuleList(Block(block, causal=causal) for block in transformer.resblocks)


def _run(blocks: Sequence[Any] | nn.ModuleList, x: Tensor, rows: Rows) -> Tensor:
    last = len(blocks) - 1
    for i, block in enumerate(blocks):
        x = block(x, rows if i == last else None)
    return x


def _project(features: Tensor, projection: Any) -> Tensor:
    if projection is None:
        return features
    is_layer = isinstance(projection, nn.Linear)
    projected: Tensor = projection(features) if is_layer else features @ projection
    return projected
