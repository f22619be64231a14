"""How an encoder's identity is made."""

from __future__ import annotations

from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.tokens import Tokenizer
from search_back.types import EncoderIdentity, fingerprint


def make_identity(
    *,
    name: str,
    dimension: int,
    weights_sha256: str,
    preprocessing: Preprocessing,
    tokenizer: Tokenizer,
) -> EncoderIdentity:
    """The identity of an encoder: the same for every runtime and precision of its weights."""
    return EncoderIdentity(
        name=name,
        dimension=dimension,
        weights_sha256=weights_sha256,
        preprocessing_sha256=fingerprint(
            {
                **preprocessing.to_json(),
                "tokenizer": tokenizer.key,
                "context_length": tokenizer.context_length,
            }
        ),
    )
