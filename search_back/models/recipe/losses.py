"""Training losses: contrast within the batch, and classification against one proxy a concept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from search_back.models.recipe.captions import Caption
from search_back.models.recipe.scenes import MOST_THINGS, Scene

PROXY_WEIGHT = 0.7
_LARGEST_SCALE = 60.0
_MASKED = -1e4


def membership(scenes: Sequence[Scene], concepts: int) -> Tensor:
    """`(scenes, concepts)` float: 1 where the concept is in the scene."""
    result = torch.zeros(len(scenes), concepts)
    for row, scene in enumerate(scenes):
        result[row, list(scene.concepts)] = 1
    return result


def said_concepts(captions: Sequence[Caption], relation: npt.NDArray[np.bool_]) -> Tensor:
    """`(captions, things, concepts)` float: 1 where a concept fits all phrases of that thing.

    A caption of fewer things than the most repeats its first.
    """
    rows = np.empty((len(captions), MOST_THINGS, relation.shape[1]), np.float32)
    for place, caption in enumerate(captions):
        for thing in range(MOST_THINGS):
            phrases = caption.things[thing if thing < len(caption.things) else 0]
            rows[place, thing] = relation[list(phrases)].all(axis=0)
    return torch.from_numpy(rows)


def true_of(
    captions: Sequence[Caption], said: Tensor, scenes: Sequence[Scene], present: Tensor
) -> Tensor:
    """`(captions, scenes)` bool: whether the caption is true of the scene.

    Each thing it names must be there; a background it names must be the scene's.
    """
    count, things, concepts = said.shape
    found = (said.view(count * things, concepts) @ present.T).view(count, things, -1) > 0
    names = [scene.background_name for scene in scenes]
    ground = torch.tensor(
        [[caption.background in (None, name) for name in names] for caption in captions]
    )
    return found.all(1) & ground


def false_negatives(
    captions: Sequence[Caption], said: Tensor, scenes: Sequence[Scene], present: Tensor
) -> Tensor:
    """`(b, b)` bool: pairs that are no pair of the batch and yet true, so not to be contrasted."""
    return true_of(captions, said, scenes, present) & ~torch.eye(len(captions), dtype=torch.bool)


def contrastive(texts: Tensor, images: Tensor, log_scale: Tensor, ignored: Tensor) -> Tensor:
    """Symmetric InfoNCE over unit rows `(b, d)`; `ignored` pairs take no part."""
    logits = (log_scale.exp().clamp(max=_LARGEST_SCALE) * texts @ images.T).masked_fill(
        ignored, _MASKED
    )
    labels = torch.arange(len(texts))
    return 0.5 * (
        functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)
    )


def to_proxies(features: Tensor, proxies: Tensor, log_scale: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of unit rows against concept proxies; `targets` rows sum to one."""
    unit = functional.normalize(proxies, dim=-1)
    logits = log_scale.exp().clamp(max=_LARGEST_SCALE) * features @ unit.T
    return functional.cross_entropy(logits, targets)


def shares(present: Tensor) -> Tensor:
    """Rows divided by their sums: each concept of a scene gets an equal share."""
    return present / present.sum(-1, keepdim=True).clamp(min=1)


def caption_shares(said: Tensor) -> Tensor:
    """Each thing an equal share, divided among the concepts that fit it."""
    return shares(said).mean(1)
