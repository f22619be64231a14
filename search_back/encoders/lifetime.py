"""An encoder that is loaded when it is needed, and gives its memory back while it is not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from search_back.errors import EncoderMismatch, ModelUnavailable, SearchBackError
from search_back.interfaces import Encoder
from search_back.memory import return_memory
from search_back.types import EncoderIdentity, FloatArray, RuntimeInfo, Tokens

LOGGER = logging.getLogger(__name__)


class UnloadingEncoder:
    """An encoder by its name, whose model may come and go between calls.

    It is loaded by the first call that needs it, once, while others wait; ``unload_if_idle`` lets
    it go where no call is under way. Identity and runtime stay known without it. A load that
    failed is not tried again for ``retry_s``: a download may take long to fail, and every query
    would wait for it. ``clock`` gives seconds. Safe to call from several threads where the
    encoder is.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Encoder],
        *,
        retry_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._load = load
        self._retry_s = retry_s
        self._clock = clock
        # Held while loading, so that others wait for the encoder instead of loading it too.
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None
        self._users = 0
        self._used = clock()
        self._known: tuple[EncoderIdentity, RuntimeInfo] | None = None
        self._failure: tuple[float, str] | None = None
        self._closed = False

    @property
    def identity(self) -> EncoderIdentity:
        return self._about()[0]

    @property
    def runtime(self) -> RuntimeInfo:
        return self._about()[1]

    @property
    def loaded(self) -> bool:
        return self._encoder is not None

    def preprocess(self, picture: bytes) -> FloatArray:
        with self.in_use() as encoder:
            return encoder.preprocess(picture)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        with self.in_use() as encoder:
            return encoder.encode_pixels(pixels)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        with self.in_use() as encoder:
            return encoder.tokenize(texts)

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        with self.in_use() as encoder:
            return encoder.encode_tokens(tokens)

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        with self.in_use() as encoder:
            return encoder.encode_images(pictures)

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        with self.in_use() as encoder:
            return encoder.encode_texts(texts)

    @contextmanager
    def in_use(self) -> Iterator[Encoder]:
        """The encoder, which stays loaded throughout the block; raises ``ModelUnavailable``."""
        with self._lock:
            encoder = self._encoder or self._loaded()
            self._users += 1
        try:
            yield encoder
        finally:
            with self._lock:
                self._users -= 1
                self._used = self._clock()
                last = self._closed and not self._users
            if last:
                self._unload(0.0)

    def idle_for(self) -> float:
        """Seconds since it was last used; 0 while it is in use or not loaded."""
        if self._users or self._encoder is None:
            return 0.0
        return self._clock() - self._used

    def unload_if_idle(self, seconds: float) -> bool:
        """Let the model go where it has not been used for so long; whether it went."""
        return self.loaded and self.idle_for() >= seconds and self._unload(seconds)

    def close(self) -> None:
        """Let the model go, at once or with the last call that is under way."""
        with self._lock:
            self._closed = True
        self._unload(0.0)

    def _about(self) -> tuple[EncoderIdentity, RuntimeInfo]:
        if self._known is None:
            with self.in_use():
                pass
        assert self._known is not None
        return self._known

    def _loaded(self) -> Encoder:
        """Load it; the caller holds the lock."""
        if self._closed:
            raise ModelUnavailable("the encoders are closed", value=self.name)
        if self._failure is not None and self._clock() < self._failure[0]:
            raise self._unavailable(self._failure[1])
        began = time.perf_counter()
        try:
            encoder = self._load()
            self._know(encoder)
        except SearchBackError as error:
            self._failure = self._clock() + self._retry_s, str(error)
            raise self._unavailable(str(error)) from error
        self._failure = None
        self._used = self._clock()
        took = time.perf_counter() - began
        LOGGER.info("loaded encoder %s: %s, %.2f s", self.name, encoder.runtime, took)
        self._encoder = encoder
        return encoder

    def _know(self, encoder: Encoder) -> None:
        """What is compared with the index stays what it was, or queries would get nonsense."""
        if self._known is not None and not self._known[0].matches(encoder.identity):
            found = encoder.identity
            encoder.close()
            raise EncoderMismatch(
                f"encoder {self.name!r} was {self._known[0]} and has become {found}",
                remedy="restart the server",
            )
        self._known = encoder.identity, encoder.runtime

    def _unavailable(self, reason: str) -> ModelUnavailable:
        return ModelUnavailable(f"encoder {self.name!r} cannot be loaded", remedy=reason)

    def _unload(self, seconds: float) -> bool:
        with self._lock:
            encoder = self._encoder
            if encoder is None or self._users or self._clock() - self._used < seconds:
                return False
            self._encoder = None
        encoder.close()
        del encoder
        LOGGER.info("unloaded encoder %s", self.name)
        return_memory()
        return True
