"""Deterministic stand-ins for the heavy parts, exact enough to assert vectors with."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from search_back.errors import BadPicture
from search_back.types import EncoderIdentity, FloatArray, IdArray, RuntimeInfo, Tokens
from search_back.vectors import normalise

_PADDING, _FIRST_BYTE, _END = 0, 1, 257


class FakeEncoder:
    """An encoder of numpy alone.

    A picture shrinks to ``side`` × ``side`` pixels, which a fixed random matrix projects. A text
    that is a colour's name ("red", "#00ff00") has exactly the vector of a picture of that colour;
    any other text has a random vector that depends on its bytes only. ``seed`` makes other
    weights, hence another identity. ``threads``: what its runtime says. It keeps no state: any
    thread may call it.
    """

    def __init__(
        self,
        *,
        dimension: int = 8,
        seed: int = 0,
        side: int = 2,
        context: int = 77,
        threads: int = 0,
    ) -> None:
        self._threads = threads
        self._side = side
        self._context = context
        self._seed = seed
        random = np.random.default_rng(seed)
        self._weights = random.standard_normal((3 * side * side, dimension)).astype(np.float32)
        self._identity = EncoderIdentity(
            name="fake",
            dimension=dimension,
            weights_sha256=hashlib.sha256(self._weights.tobytes()).hexdigest(),
            preprocessing_sha256=hashlib.sha256(f"nearest {side}".encode()).hexdigest(),
        )

    @property
    def identity(self) -> EncoderIdentity:
        return self._identity

    @property
    def runtime(self) -> RuntimeInfo:
        return RuntimeInfo("numpy", threads=self._threads)

    def preprocess(self, picture: bytes) -> FloatArray:
        """The bytes of a picture file → ``(3, side, side)`` float32 in 0 … 1."""
        try:
            with Image.open(io.BytesIO(picture)) as image:
                small = image.convert("RGB").resize((self._side, self._side), Image.Resampling.BOX)
        except (OSError, ValueError, SyntaxError) as error:
            raise BadPicture("not a picture that can be decoded") from error
        pixels: FloatArray = np.asarray(small, dtype=np.float32).transpose(2, 0, 1).copy()
        pixels /= np.float32(255)
        return pixels

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        # Shifted by a half, so that black and grey have a direction too.
        return normalise((pixels.reshape(len(pixels), -1) - np.float32(0.503)) @ self._weights)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """One token a byte, then the end token; shorter texts are padded with 0."""
        most = self._context - 1
        rows = [[*(byte + _FIRST_BYTE for byte in t.encode()[:most]), _END] for t in texts]
        cut = [len(text.encode()) > most for text in texts]
        return Tokens.of_rows(rows, cut=cut, pad=_PADDING)

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        rows = [self._encode_text(row) for row in tokens.ids]
        return np.stack(rows) if rows else np.zeros((0, self._identity.dimension), np.float32)

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        if not pictures:
            return np.zeros((0, self._identity.dimension), np.float32)
        return self.encode_pixels(np.stack([self.preprocess(picture) for picture in pictures]))

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        return self.encode_tokens(self.tokenize(texts))

    def close(self) -> None:
        pass

    def _encode_text(self, tokens: IdArray) -> FloatArray:
        text = bytes(int(t) - _FIRST_BYTE for t in tokens if _PADDING < t < _END)
        try:
            colour = ImageColor.getrgb(text.decode())[:3]
        except ValueError:
            digest = hashlib.sha256(f"{self._seed} ".encode() + text).digest()
            random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
            return normalise(random.standard_normal(self._identity.dimension))
        pixels = np.empty((1, 3, self._side, self._side), np.float32)
        pixels[:] = np.asarray(colour, np.float32).reshape(1, 3, 1, 1) / np.float32(255)
        vector: FloatArray = self.encode_pixels(pixels)[0]
        return vector


def picture_bytes(
    colour: str | tuple[int, int, int] = "red",
    *,
    size: tuple[int, int] = (4, 4),
    format: str = "PNG",  # noqa: A002
) -> bytes:
    """The bytes of a picture file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format)
    return buffer.getvalue()
