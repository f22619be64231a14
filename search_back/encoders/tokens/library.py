"""Tokenizers that come as a ``tokenizer.json``, run by the ``tokenizers`` library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from search_back.encoders.tokens.cleaning import Cleaning, clean, is_cleaning
from search_back.errors import ConfigError, CorruptFile
from search_back.files import sha256_file
from search_back.types import Tokens, fingerprint

TOKENIZER_FILE: Final = "tokenizer.json"
PaddingSide = Literal["left", "right"]


class LibraryTokenizer:
    """Any tokenizer of the ``tokenizers`` library: SigLIP's, XLM-R's, BERT's, Gemma's.

    Gives the ids of transformers' own for the same file: special tokens as the file's
    post-processor sets them, a longer text cut so that they stay. As there, a text that spells a
    special token gets its id.

    ``vocabulary``: a ``tokenizer.json``, or its bytes. ``pad``: the id rows are padded with.
    ``blank_end``: the end token's id becomes 0 (open_clip's ``strip_sep_token``).
    ``padding_side``: where the model was trained with padding on the left, every row spans the
    whole context.

    Raises ``CorruptFile`` where the file holds no tokenizer, ``OSError`` where it cannot be read,
    ``ConfigError`` for an unknown ``cleaning``. Safe to call from several threads.
    """

    def __init__(
        self,
        vocabulary: Path | bytes,
        *,
        context_length: int,
        pad: int = 0,
        cleaning: Cleaning = "none",
        blank_end: bool = False,
        padding_side: PaddingSide = "right",
    ) -> None:
        from tokenizers import Tokenizer

        if not is_cleaning(cleaning):
            raise ConfigError("the model asks for an unknown cleaning of texts", value=cleaning)
        self.context_length = context_length
        self.pad = pad
        self._vocabulary = vocabulary
        self._cleaning = cleaning
        self._blank_end = blank_end
        self._padding_side = padding_side
        data = vocabulary if isinstance(vocabulary, bytes) else vocabulary.read_bytes()
        try:
            self._tokenizer = Tokenizer.from_buffer(data)
        except Exception as error:  # the library raises no class of its own
            raise CorruptFile(
                f"{self._named()} is not a tokenizer of the tokenizers library",
                value=str(error),
                remedy="restore the model's folder",
            ) from error
        # The file may ask for a length of its own.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(context_length)

    @cached_property
    def key(self) -> str:
        file = self._vocabulary
        digest = hashlib.sha256(file).hexdigest() if isinstance(file, bytes) else sha256_file(file)
        return f"tokenizers:{fingerprint({'sha256': digest, **self._settings()})}"

    @cached_property
    def end(self) -> int | None:
        """The id that closes every row, if there is one."""
        ids: list[int] = self._tokenizer.encode("").ids
        return ids[-1] if ids else None

    @cached_property
    def ends_on_largest(self) -> bool:
        """Whether no id is larger than that of the end token."""
        return self.end == max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def pads_right_with(self, pad: int) -> bool:
        """Whether a tower that masks ``pad`` sees the texts and nothing else."""
        return self.pad == pad and self._padding_side == "right"

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """n texts → n rows."""
        cleaned = [clean(text, self._cleaning) for text in texts]
        encoded = self._tokenizer.encode_batch(cleaned, add_special_tokens=True)
        rows = [self._row(e.ids) for e in encoded]
        return Tokens.of_rows(rows, cut=[bool(e.overflowing) for e in encoded], pad=self.pad)

    def save(self, folder: Path) -> dict[str, Any]:
        target = folder / TOKENIZER_FILE
        file = self._vocabulary
        if isinstance(file, bytes) or file.resolve() != target.resolve():
            target.write_bytes(file if isinstance(file, bytes) else file.read_bytes())
        return {
            "kind": "tokenizers",
            "vocabulary": target.name,
            "context_length": self.context_length,
            **self._settings(),
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "pad": self.pad,
            "cleaning": self._cleaning,
            "blank_end": self._blank_end,
            "padding_side": self._padding_side,
        }

    def _row(self, ids: list[int]) -> list[int]:
        if self._blank_end:
            ids = [0 if i == self.end else i for i in ids]
        if self._padding_side == "left":
            ids = [self.pad] * (self.context_length - len(ids)) + ids
        return ids

    def _named(self) -> str:
        return TOKENIZER_FILE if isinstance(self._vocabulary, bytes) else str(self._vocabulary)
