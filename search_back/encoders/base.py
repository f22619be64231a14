"""What every encoder shares: both halves in one call, unit rows, texts bucketed by length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from search_back.encoders.preprocess import Preprocessing, preprocess_all
from search_back.encoders.tokens import Tokenizer
from search_back.errors import InputError
from search_back.pictures import MAX_PIXELS, JpegDraft
from search_back.types import EncoderIdentity, FloatArray, IdArray, RuntimeInfo, Tokens
from search_back.vectors import normalise

TEXT_BATCH = 32
_SHORT = 8
"""Tokens of a text; of texts twice as long half as many run together."""
IMAGE_BATCH = 16
"""Pictures that go through a tower at once on a CPU: more would leave its caches."""

TextPositions = Literal["to_end", "unpadded", "all"]
"""Which positions a text tower must run.

``to_end``: a causal tower that reads its feature at the end token; ``unpadded``: one whose
attention masks the padding; ``all``: one that reads the padding too (SigLIP).
"""


class BaseEncoder(ABC):
    """A runtime implements the two towers; the rest is here.

    Safe to call from several threads where the runtime is. To be set before the first call:
    ``draft``, at what scale JPEGs are decoded; ``max_pixels``, what a picture may hold;
    ``decode_workers``, how many threads decode the pictures of one call, 0: one for each core.
    """

    draft: JpegDraft = "off"
    max_pixels: int = MAX_PIXELS
    decode_workers: int = 0
    image_batch: int = IMAGE_BATCH
    text_batch: int = TEXT_BATCH

    def __init__(
        self,
        identity: EncoderIdentity,
        preprocessing: Preprocessing,
        tokenizer: Tokenizer,
        *,
        runtime: RuntimeInfo,
        text_positions: TextPositions,
    ) -> None:
        self._identity = identity
        self._preprocessing = preprocessing
        self._tokenizer = tokenizer
        self._runtime = runtime
        self._text_positions = text_positions

    @property
    def identity(self) -> EncoderIdentity:
        return self._identity

    @property
    def runtime(self) -> RuntimeInfo:
        return self._runtime

    @property
    def dimension(self) -> int:
        return self._identity.dimension

    @abstractmethod
    def _image_tower(self, pixels: FloatArray) -> FloatArray:
        """``(n, 3, h, w)`` float32 → ``(n, d)``, of any length."""

    @abstractmethod
    def _text_tower(self, ids: IdArray) -> FloatArray:
        """``(n, length)`` int64 → ``(n, d)``, of any length."""

    def preprocess(self, picture: bytes) -> FloatArray:
        return self._preprocessing(picture, max_pixels=self.max_pixels, draft=self.draft)

    def preprocess_all(self, pictures: Sequence[bytes]) -> list[FloatArray | InputError]:
        """``preprocess`` of each, in order and in threads; a bad picture gives its error."""
        return preprocess_all(self.preprocess, pictures, workers=self.decode_workers)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        if not len(pixels):
            return self._no_rows()
        most = self.image_batch
        parts = [self._image_tower(pixels[i : i + most]) for i in range(0, len(pixels), most)]
        return normalise(np.concatenate(parts))

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        return self._tokenizer(texts)

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        """n rows → ``(n, d)`` float32, unit rows.

        Positions that cannot change the feature do not run, and texts of like length run
        together.
        """
        if not len(tokens):
            return self._no_rows()
        features = np.empty((len(tokens), self.dimension), dtype=np.float32)
        for rows in self._buckets(tokens):
            part = tokens.take(rows)
            ids = self._widened(part) if self._text_positions == "all" else part.ids
            features[rows] = self._text_tower(ids)
        return normalise(features)

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        """``(n, d)`` float32, unit rows, computed in batches.

        Raises ``BadPicture`` or ``LimitExceeded``, which says which picture it was.
        """
        parts = [self._no_rows()]
        for start in range(0, len(pictures), IMAGE_BATCH):
            pixels = []
            for i, found in enumerate(self.preprocess_all(pictures[start : start + IMAGE_BATCH])):
                if isinstance(found, InputError):
                    if len(pictures) > 1:
                        found.what = f"picture {start + i + 1} of {len(pictures)}: {found.what}"
                    raise found
                pixels.append(found)
            parts.append(self.encode_pixels(np.stack(pixels)))
        return np.concatenate(parts)

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_tokens(self.tokenize(texts))

    def close(self) -> None:
        """Give back what the runtime holds."""

    def _buckets(self, tokens: Tokens) -> Iterator[IdArray]:
        """Rows that run together: of like length, as many as have some work to do."""
        order = np.argsort(tokens.lengths, kind="stable")[::-1]
        start = 0
        while start < len(order):
            longest = int(tokens.lengths[order[start]])
            size = max(1, min(self.text_batch, self.text_batch * _SHORT // longest))
            yield order[start : start + size]
            start += size

    def _no_rows(self) -> FloatArray:
        return np.empty((0, self.dimension), dtype=np.float32)

    def _widened(self, tokens: Tokens) -> IdArray:
        missing = self._tokenizer.context_length - tokens.ids.shape[1]
        return np.pad(tokens.ids, ((0, 0), (0, missing)), constant_values=tokens.pad)
