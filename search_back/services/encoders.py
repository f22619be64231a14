"""The encoders of a server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from search_back.errors import ModelUnavailable, SearchBackError
from search_back.interfaces import Encoder

LOGGER = logging.getLogger(__name__)


class EncoderPool:
    """Encoders by name, each loaded once, when it is first needed. Thread-safe.

    One that could not be loaded is not tried again for ``retry_s``: a download may take long to
    fail, and every query would wait for it.
    """

    def __init__(self, load: Callable[[str], Encoder], *, retry_s: float = 30.0) -> None:
        self._load = load
        self._retry_s = retry_s
        self._encoders: dict[str, Encoder] = {}
        self._failures: dict[str, tuple[float, str]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Encoder:
        """The encoder of that name; raises ``ModelUnavailable``."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            encoder = self._encoders.get(name)
            return self._loaded(name) if encoder is None else encoder

    def _loaded(self, name: str) -> Encoder:
        until, reason = self._failures.get(name, (0.0, ""))
        if time.monotonic() >= until:
            LOGGER.info("loading encoder %s", name)
            try:
                self._encoders[name] = self._load(name)
                return self._encoders[name]
            except SearchBackError as error:
                reason = str(error)
                self._failures[name] = time.monotonic() + self._retry_s, reason
        raise ModelUnavailable(f"encoder {name!r} cannot be loaded", remedy=reason)

    def close(self) -> None:
        for encoder in self._encoders.values():
            encoder.close()
        self._encoders.clear()
