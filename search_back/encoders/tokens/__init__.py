"""Tokenizers that need no torch: texts to ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from search_back.errors import ConfigError
from search_back.types import Tokens


class Tokenizer(Protocol):
    """Texts to token ids. Any thread may call it."""

    @property
    def context_length(self) -> int: ...

    @property
    def key(self) -> str:
        """What tells one vocabulary from another; part of an encoder's identity."""
        ...

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """n texts → n rows, each cut to the context with its end token kept."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what the tokenizer needs into ``folder``; what ``open_tokenizer`` takes."""
        ...


def open_tokenizer(folder: Path, described: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that an exported model describes.

    Raises ``KeyError`` for a description that lacks something, ``ConfigError`` for an unknown kind,
    ``CorruptFile`` for a vocabulary that cannot be read.
    """
    kind = described["kind"]
    if kind == "clip_bpe":
        from search_back.encoders.tokens.clip import ClipTokenizer

        return ClipTokenizer(folder / described["vocabulary"], int(described["context_length"]))
    if kind == "tokenizers":
        from search_back.encoders.tokens.library import LibraryTokenizer

        return LibraryTokenizer(
            folder / described["vocabulary"],
            context_length=int(described["context_length"]),
            pad=int(described["pad"]),
            cleaning=described["cleaning"],
            blank_end=bool(described.get("blank_end", False)),
            padding_side=described.get("padding_side", "right"),
        )
    raise ConfigError("the model has a tokenizer of an unknown kind", value=kind)
