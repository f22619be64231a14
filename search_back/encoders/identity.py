"""How an encoder's identity is made."""

from __future__ import annotations

from pathlib import Path

from search_back.encoders.preprocess import Preprocessing
from search_back.files import sha256_file
from search_back.types import EncoderIdentity, fingerprint


def make_identity(
    *,
    name: str,
    dimension: int,
    weights_sha256: str,
    preprocessing: Preprocessing,
    tokenizer: str,
    context_length: int,
    precision: str = "fp32",
) -> EncoderIdentity:
    """The identity of an encoder; ``tokenizer`` is :func:`tokenizer_key` or a name."""
    return EncoderIdentity(
        name=name,
        dimension=dimension,
        weights_sha256=weights_sha256,
        preprocessing_sha256=fingerprint(
            {
                **preprocessing.to_json(),
                "tokenizer": tokenizer,
                "context_length": context_length,
            }
        ),
        precision=precision,
    )


def tokenizer_key(vocabulary: Path) -> str:
    """What tells one vocabulary from another."""
    return f"clip_bpe:{sha256_file(vocabulary)}"
