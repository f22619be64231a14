"""The encoders of a server."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from search_back.cores import usable_cores
from search_back.encoders.batching import MAX_QUEUED, BatchingEncoder, EncoderObserver
from search_back.encoders.cache import CachingEncoder, EmbeddingCache
from search_back.encoders.lifetime import UnloadingEncoder
from search_back.errors import SearchBackError
from search_back.interfaces import Encoder
from search_back.types import RuntimeInfo

LOGGER = logging.getLogger(__name__)
_Key = tuple[Any, ...]


class EncoderPool:
    """Encoders by name, each loaded once, when it is first needed. Thread-safe.

    ``load``: called with a name and the options that ``get`` was given. ``retry_s``: how long a
    load that failed is not tried again. ``batching``: whether concurrent calls share the runs of
    a tower; ``max_queued``: rows that may wait for one; ``threads``: how many ``load`` lets a
    call use, 0 for all cores. ``cache_entries``: queries to remember, of all encoders together;
    0 for none. ``idle_s``: an encoder not used for so long is unloaded, by a thread of the pool,
    and loaded again by the next query; 0 for never, and no thread.
    """

    def __init__(
        self,
        load: Callable[..., Encoder],
        *,
        retry_s: float = 30.0,
        batching: bool = True,
        max_queued: int = MAX_QUEUED,
        threads: int = 0,
        cache_entries: int = 0,
        idle_s: float = 0.0,
        observer: EncoderObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._retry_s = retry_s
        self._batching = batching
        self._max_queued = max_queued
        self._threads = threads
        self._cache = EmbeddingCache(cache_entries) if cache_entries else None
        self._idle_s = idle_s
        self._observer = observer
        self._clock = clock
        self._models: dict[_Key, UnloadingEncoder] = {}
        self._encoders: dict[_Key, Encoder] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def loaded(self) -> int:
        """How many encoders are in memory."""
        return sum(model.loaded for model in self._all())

    @property
    def remembered(self) -> int:
        """How many queries the cache holds."""
        return 0 if self._cache is None else len(self._cache)

    def get(self, name: str, **options: Any) -> Encoder:
        """The encoder of that name; raises ``ModelUnavailable``.

        ``options``: for ``load``; one name with two sets of options is two encoders.
        """
        key = _key(name, options)
        encoder = self._encoders.get(key)
        if encoder is not None:
            return encoder
        model = self._model(name, options)
        runtime = model.runtime  # loads it
        with self._lock:
            if key not in self._encoders:
                self._encoders[key] = self._wrapped(model, runtime, variant=repr(key[1:]))
            self._watch()
            return self._encoders[key]

    def warm_up(self, name: str, **options: Any) -> None:
        """Load an encoder and run its towers once, so that the first query need not wait.

        Leaves no trace in the metrics or the cache. Raises ``ModelUnavailable``; what is amiss
        with the tower of pictures is logged, since words can be searched without it.
        """
        began = time.perf_counter()
        self.get(name, **options)
        model = self._model(name, options)
        model.encode_texts(["a picture"])
        try:
            model.encode_images([_grey_picture()])
        except SearchBackError as error:
            LOGGER.warning("encoder %s cannot read pictures: %s", name, error)
        LOGGER.info("encoder %s is warm, %.2f s", name, time.perf_counter() - began)

    def unload_idle(self) -> None:
        """Unload every encoder that has not been used for ``idle_s``."""
        for model in self._all():
            model.unload_if_idle(self._idle_s)

    def close(self) -> None:
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        for model in self._all():
            model.close()

    def _all(self) -> list[UnloadingEncoder]:
        with self._lock:
            return list(self._models.values())

    def _model(self, name: str, options: dict[str, Any]) -> UnloadingEncoder:
        key = _key(name, options)
        with self._lock:
            if key not in self._models:
                self._models[key] = UnloadingEncoder(
                    name,
                    lambda: self._load(name, **options),
                    retry_s=self._retry_s,
                    clock=self._clock,
                )
            return self._models[key]

    def _wrapped(self, encoder: Encoder, runtime: RuntimeInfo, *, variant: str) -> Encoder:
        if self._batching:
            # torch runs one call at a time, whichever tower it is for.
            alone = runtime.runtime == "torch"
            encoder = BatchingEncoder(
                encoder,
                slots=1 if alone else _slots(self._threads),
                one_tower_at_a_time=alone,
                max_queued=self._max_queued,
                observer=self._observer,
            )
        if self._cache is not None:
            encoder = CachingEncoder(encoder, self._cache, variant=variant, observer=self._observer)
        return encoder

    def _watch(self) -> None:
        """See to it that idle encoders are unloaded; the caller holds the lock."""
        if self._idle_s and self._watcher is None and not self._stop.is_set():
            self._watcher = threading.Thread(
                target=self._unload_in_time, name="unload-idle-encoders", daemon=True
            )
            self._watcher.start()

    def _unload_in_time(self) -> None:
        while not self._stop.wait(self._until_next()):
            self.unload_idle()

    def _until_next(self) -> float:
        """Seconds until an encoder can first have been idle for long enough."""
        left = [self._idle_s - model.idle_for() for model in self._all() if model.loaded]
        return max(0.001, min(left, default=self._idle_s))


def _key(name: str, options: dict[str, Any]) -> _Key:
    return (name, *sorted(options.items()))


def _slots(threads: int) -> int:
    """As many calls side by side as fill the cores."""
    return max(1, usable_cores() // threads) if threads else 1


def _grey_picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), "grey").save(file, "PNG")
    return file.getvalue()
