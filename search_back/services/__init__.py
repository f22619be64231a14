"""The composition root: from settings to running parts."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

from search_back.config import IndexOptions, ServerSettings
from search_back.encoders import load_encoder
from search_back.errors import ConfigError, SearchBackError, UnknownIndex
from search_back.guard import KeyRing, Links
from search_back.metrics import Metrics
from search_back.services.encoders import EncoderPool
from search_back.services.index import DEFAULT_MODEL, IndexService
from search_back.services.maps import Maps
from search_back.services.snapshot import IMAGE_PATH, FolderSnapshot, open_snapshot
from search_back.tracing import open_tracing

if TYPE_CHECKING:
    from search_back.fetch import Fetcher

__all__ = [
    "DEFAULT_MODEL",
    "IMAGE_PATH",
    "EncoderPool",
    "FolderSnapshot",
    "IndexService",
    "Maps",
    "Services",
    "open_snapshot",
]
LOGGER = logging.getLogger(__name__)


class Services:
    """Everything a transport needs. Thread-safe.

    ``read_indices``: says again which indices to serve, when they are reloaded; None: the same.
    ``secret``: shared by the processes that serve one address. ``keys``, ``links``: None where
    whoever reaches the server may ask. Opens no index by itself.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        metrics: Metrics | None = None,
        read_indices: Callable[[], Mapping[str, IndexOptions]] | None = None,
        secret: bytes | None = None,
    ) -> None:
        if not settings.indices:
            raise ConfigError("there is no index to serve", remedy="give --indices-paths")
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.tracing = open_tracing(settings.otlp_endpoint)
        if self.tracing is not None:
            self.metrics.trace_steps(self.tracing.step)
        self.encoders = EncoderPool(
            partial(
                load_encoder,
                precision="auto",
                threads=settings.encoder_threads,
                max_pixels=settings.limits.max_picture_pixels,
            ),
            batching=settings.batching,
            max_queued=settings.max_queued_queries,
            threads=settings.encoder_threads,
            cache_entries=settings.query_cache_entries,
            idle_s=settings.encoder_idle_s,
            observer=self.metrics,
        )
        watched = self.metrics.watched
        watched.encoders(
            loaded=lambda: self.encoders.loaded, remembered=lambda: self.encoders.remembered
        )
        watched.indices(lambda: [index.state for index in self.indices.values()])
        self._read_indices = read_indices or (lambda: settings.indices)
        self.secret = secret or secrets.token_bytes(32)
        self.keys = KeyRing(settings.keys_file) if settings.keys_file else None
        self.links = Links(self.secret) if self.keys else None
        self._reloading = threading.Lock()
        self._fetching = threading.Lock()
        self.warm = False
        self.indices: Mapping[str, IndexService] = {
            name: self._serve(name, options) for name, options in settings.indices.items()
        }

    @property
    def fetcher(self) -> Fetcher:
        """What downloads pictures: one, whose limits hold for all; made when there is a need."""
        with self._fetching:
            return self._fetcher

    @cached_property
    def _fetcher(self) -> Fetcher:
        from search_back.fetch import Fetcher

        return Fetcher(self.settings.limits)

    def index(self, name: str | None) -> IndexService:
        """The index of that name, the first one for None; raises ``UnknownIndex``."""
        indices = self.indices
        if not name:
            return indices[next(iter(indices))]
        try:
            return indices[name]
        except KeyError:
            raise UnknownIndex(
                "there is no such index",
                value=name,
                remedy=f"there is {', '.join(indices)}",
            ) from None

    def open(self) -> None:
        """Open every index that is not to be opened by its first query.

        One that cannot be opened is logged and does not stop the rest; where none can, its error
        is raised.
        """
        failed: list[SearchBackError] = []
        for index in self.indices.values():
            if not index.options.open_on_first_query:
                try:
                    index.open()
                except SearchBackError as error:
                    failed.append(error)
        if failed and len(failed) == len(self.indices):
            raise failed[0]

    def warm_up(self) -> None:
        """Load every encoder; one that fails is logged, and its index serves the rest."""
        for index in list(self.indices.values()):
            if index.options.open_on_first_query and not index.is_open:
                continue
            try:
                index.warm_up()
            except SearchBackError as error:
                LOGGER.warning("index %r cannot answer words or pictures: %s", index.name, error)
            except Exception:  # a thread of its own runs this: nobody else would tell
                LOGGER.exception("index %r cannot be warmed up", index.name)
        self.warm = True

    def reload(self) -> dict[str, str]:
        """Serve what the folders hold now, and the indices and keys that the settings name now.

        Requests under way end on what they began with. Returns what could not be reloaded, and
        why; it goes on as it was. Raises ``ConfigError`` where the settings cannot be read, and
        then nothing has changed.
        """
        with self._reloading:
            wanted = self._read_indices()
            if not wanted:
                raise ConfigError("there is no index to serve")
            if self.keys is not None:
                self.keys.reload()
            indices, failed = {}, {}
            for name, options in wanted.items():
                index = self.indices.get(name)
                try:
                    if index is None or index.options != options:
                        index = self._serve(name, options)
                        if not options.open_on_first_query:
                            index.open()
                    elif index.is_open or not options.open_on_first_query:
                        index.reload()
                except SearchBackError as error:
                    failed[name] = str(error)
                    LOGGER.warning("index %r is not reloaded: %s", name, error)
                    index = self.indices.get(name) or index
                self.metrics.count_reload(name, failed=name in failed)
                if index is not None:
                    indices[name] = index
            self.indices = indices
            LOGGER.info("reloaded %s", ", ".join(n for n in indices if n not in failed) or "none")
            return failed

    def close(self) -> None:
        for index in self.indices.values():
            index.close()
        self.encoders.close()
        if self.tracing is not None:
            self.tracing.close()

    def _serve(self, name: str, options: IndexOptions) -> IndexService:
        self.metrics.expect_reloads(name)
        return IndexService(
            name,
            options,
            encoders=self.encoders,
            metrics=self.metrics,
            settings=self.settings,
            secret=self.secret,
            links=self.links,
        )
