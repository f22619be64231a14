"""Embeddings of earlier queries, so that the same one is not encoded twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from search_back.encoders.batching import EncoderObserver, NoObserver
from search_back.interfaces import Encoder
from search_back.types import (
    EncoderIdentity,
    FloatArray,
    Modality,
    PreparedQuery,
    RuntimeInfo,
    Tokens,
)

_LONGEST_KEPT: Final = 256
"""Characters of a text that is its own key; of longer ones the sha256 is, to bound the memory."""

Key = tuple[str, Modality, str | bytes]


@dataclass(frozen=True, slots=True, eq=False)
class KnownQuery:
    """What a query came to: ``(d,)`` float32 of unit length, and whether its text was cut."""

    vector: FloatArray
    cut: bool


class EmbeddingCache:
    """The last ``entries`` queries that were asked for, of any number of encoders. Thread-safe.

    An entry takes its vector and some 500 bytes: 10,000 of 512 dimensions are 25 MB.
    """

    def __init__(self, entries: int) -> None:
        self._most = entries
        self._known: OrderedDict[Key, KnownQuery] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Key) -> KnownQuery | None:
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        return known

    def put(self, key: Key, vector: FloatArray, *, cut: bool) -> None:
        """Keep a copy of a vector; one that is not finite is not kept."""
        if not np.isfinite(vector).all():
            return
        kept = np.array(vector, dtype=np.float32)
        kept.flags.writeable = False
        with self._lock:
            self._known[key] = KnownQuery(kept, cut)
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


class CachingEncoder:
    """An encoder that remembers queries: a ``QueryEncoder``. As thread-safe as the encoder.

    A known text is neither tokenized nor encoded, a known picture neither decoded nor encoded.
    The other methods are the encoder's own, and remember nothing. ``variant``: what else sets
    its vectors apart from those of the same identity and precision in the same cache, such as
    how exactly it decodes.
    """

    def __init__(
        self,
        encoder: Encoder,
        cache: EmbeddingCache,
        *,
        variant: str = "",
        observer: EncoderObserver | None = None,
    ) -> None:
        self._encoder = encoder
        self._cache = cache
        self._variant = variant
        self._observer = observer or NoObserver()

    @property
    def identity(self) -> EncoderIdentity:
        return self._encoder.identity

    @property
    def runtime(self) -> RuntimeInfo:
        return self._encoder.runtime

    @cached_property
    def _space(self) -> str:
        """Vectors of two precisions may be compared, but are not the same."""
        return f"{self.identity.key} {self.runtime.precision} {self._variant}"

    def prepare_text(self, text: str) -> PreparedQuery:
        """Tokenize a text, unless it is known."""
        kept = (
            text if len(text) <= _LONGEST_KEPT else _sha256(text.encode("utf-8", "surrogatepass"))
        )
        key: Key = (self._space, "text", kept)
        known = self._look_up(key)
        if known is not None:
            return PreparedQuery(known.cut, known.vector.copy)
        tokens = self._encoder.tokenize([text])
        cut = bool(tokens.cut[0])
        return PreparedQuery(
            cut, lambda: self._keep(key, self._encoder.encode_tokens(tokens)[0], cut=cut)
        )

    def prepare_picture(self, picture: bytes) -> PreparedQuery:
        """Decode a picture, unless it is known; raises ``BadPicture``."""
        key: Key = (self._space, "image", _sha256(picture))
        known = self._look_up(key)
        if known is not None:
            return PreparedQuery(cut=False, embed=known.vector.copy)
        pixels = self._encoder.preprocess(picture)
        return PreparedQuery(
            cut=False,
            embed=lambda: self._keep(key, self._encoder.encode_pixels(pixels[None])[0], cut=False),
        )

    def _look_up(self, key: Key) -> KnownQuery | None:
        known = self._cache.get(key)
        self._observer.cache(key[1], hit=known is not None)
        return known

    def _keep(self, key: Key, vector: FloatArray, *, cut: bool) -> FloatArray:
        self._cache.put(key, vector, cut=cut)
        return vector

    def preprocess(self, picture: bytes) -> FloatArray:
        return self._encoder.preprocess(picture)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        return self._encoder.encode_pixels(pixels)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        return self._encoder.tokenize(texts)

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        return self._encoder.encode_tokens(tokens)

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        return self._encoder.encode_images(pictures)

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        return self._encoder.encode_texts(texts)

    def close(self) -> None:
        self._encoder.close()


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
