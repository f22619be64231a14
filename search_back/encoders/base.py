"""What every encoder shares: both halves in one call, unit rows, texts bucketed by length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.tokenizer import Tokenizer
from search_back.types import EncoderIdentity, FloatArray, IdArray
from search_back.vectors import normalise

TEXT_BATCH = 64


class BaseEncoder(ABC):
    """A runtime implements the two towers; the rest is here.

    Safe to call from several threads where the runtime is.
    """

    def __init__(
        self,
        identity: EncoderIdentity,
        preprocessing: Preprocessing,
        tokenizer: Tokenizer,
        *,
        text_is_causal: bool,
    ) -> None:
        self._identity = identity
        self._preprocessing = preprocessing
        self._tokenizer = tokenizer
        self._text_is_causal = text_is_causal

    @property
    def identity(self) -> EncoderIdentity:
        return self._identity

    @property
    def dimension(self) -> int:
        return self._identity.dimension

    @abstractmethod
    def _image_tower(self, pixels: FloatArray) -> FloatArray:
        """``(n, 3, h, w)`` float32 → ``(n, d)``, of any length."""

    @abstractmethod
    def _text_tower(self, tokens: IdArray) -> FloatArray:
        """``(n, length)`` int64 → ``(n, d)``, of any length."""

    def preprocess(self, picture: bytes) -> FloatArray:
        return self._preprocessing(picture)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        if not len(pixels):
            return np.empty((0, self.dimension), dtype=np.float32)
        return normalise(self._image_tower(pixels))

    def tokenize(self, texts: Sequence[str]) -> IdArray:
        return self._tokenizer(texts)

    def encode_tokens(self, tokens: IdArray) -> FloatArray:
        """``(n, length)`` int64 → ``(n, d)`` float32, unit rows.

        Where the text tower is causal only the positions up to the end token run: those after
        it cannot change its feature. Texts of like length run together.
        """
        if not len(tokens):
            return self._no_rows()
        if not self._text_is_causal:
            tokens = _pad(tokens, self._tokenizer.context_length)
            parts = [self._text_tower(t) for t in np.split(tokens, _cuts(len(tokens)))]
            return normalise(np.concatenate(parts))
        lengths = tokens.argmax(axis=1) + 1
        order = np.argsort(lengths, kind="stable")
        features = np.empty((len(tokens), self.dimension), dtype=np.float32)
        for rows in np.split(order, _cuts(len(order))):
            features[rows] = self._text_tower(tokens[rows, : lengths[rows].max()])
        return normalise(features)

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        if not pictures:
            return self._no_rows()
        return self.encode_pixels(np.stack([self.preprocess(p) for p in pictures]))

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_tokens(self.tokenize(texts))

    def close(self) -> None:
        """Give back what the runtime holds."""

    def _no_rows(self) -> FloatArray:
        return np.empty((0, self.dimension), dtype=np.float32)


def _cuts(n: int) -> list[int]:
    return list(range(TEXT_BATCH, n, TEXT_BATCH))


def _pad(tokens: IdArray, length: int) -> IdArray:
    missing = length - tokens.shape[1]
    return np.pad(tokens, ((0, 0), (0, missing))) if missing > 0 else tokens
