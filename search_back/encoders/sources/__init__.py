"""Models in torch: where they come from, and what is made of them.

A source loads a model by its name and takes it apart into a ``SourceModel``, which the torch
runtime runs and the exporters write down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from search_back.encoders.base import TextPositions
from search_back.encoders.identity import make_identity
from search_back.encoders.names import EncoderSpec
from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.tokens import Tokenizer
from search_back.errors import ModelUnavailable
from search_back.types import EncoderIdentity

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, eq=False)
class SourceModel:
    """A model in float32 on the CPU, taken apart.

    ``image``: ``pixel_values (n, 3, h, w)`` → ``(n, d)``, None for a model of texts alone.
    ``text``: ``input_ids (n, length)`` → ``(n, d)``, over the positions it is given.
    ``whole_text``, ``whole_image``: the same by the model's own code, the text over the whole
    context: the references that ``text`` and ``image`` must equal (no ``whole_image``: ``image``
    is the model's own). ``origin``: the weights file and what tells that it changed.
    """

    name: str
    image: nn.Module | None
    text: nn.Module
    whole_text: nn.Module
    dimension: int
    preprocessing: Preprocessing
    tokenizer: Tokenizer
    text_positions: TextPositions
    weights_sha256: str
    whole_image: nn.Module | None = None
    logit_scale: float = 1.0
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> EncoderIdentity:
        return make_identity(
            name=self.name,
            dimension=self.dimension,
            weights_sha256=self.weights_sha256,
            preprocessing=self.preprocessing,
            tokenizer=self.tokenizer,
        )


def needs_torch(name: str, error: ImportError) -> ModelUnavailable:
    """The error of a model whose packages are not installed."""
    return ModelUnavailable(
        f"the model {name!r} needs torch and open_clip",
        value=str(error),
        remedy="pip install torch open-clip-torch",
    )


def load_source(spec: EncoderSpec) -> SourceModel:
    """The model of a name. Raises ``ModelUnavailable``, which says what is missing."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise needs_torch(spec.name, error) from error
    if spec.repository is not None:
        from search_back.encoders.sources.hugging_face import load

        return load(spec)
    from search_back.encoders.sources.open_clip import load as load_open_clip

    return load_open_clip(spec)
