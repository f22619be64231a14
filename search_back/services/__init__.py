"""The composition root: from settings to running parts."""

from __future__ import annotations

import logging
from functools import partial

from search_back.config import ServerSettings
from search_back.encoders import load_encoder
from search_back.errors import ConfigError, SearchBackError, UnknownIndex
from search_back.fetch import Fetcher
from search_back.metrics import Metrics
from search_back.services.encoders import EncoderPool
from search_back.services.index import DEFAULT_MODEL, IndexService
from search_back.services.snapshot import IMAGE_PATH, FolderSnapshot, open_snapshot

__all__ = [
    "DEFAULT_MODEL",
    "IMAGE_PATH",
    "EncoderPool",
    "FolderSnapshot",
    "IndexService",
    "Services",
    "open_snapshot",
]
LOGGER = logging.getLogger(__name__)


class Services:
    """Everything a transport needs. Thread-safe."""

    def __init__(self, settings: ServerSettings, *, metrics: Metrics | None = None) -> None:
        if not settings.indices:
            raise ConfigError("there is no index to serve", remedy="give --indices-paths")
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.fetcher = Fetcher(settings.limits)
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
        self.metrics.watch_encoders(
            loaded=lambda: self.encoders.loaded, remembered=lambda: self.encoders.remembered
        )
        self.indices = {
            name: IndexService(
                name, options, encoders=self.encoders, metrics=self.metrics, settings=settings
            )
            for name, options in settings.indices.items()
        }

    def index(self, name: str | None) -> IndexService:
        """The index of that name, the first one for None; raises ``UnknownIndex``."""
        if not name:
            return self.indices[next(iter(self.indices))]
        try:
            return self.indices[name]
        except KeyError:
            raise UnknownIndex(
                "there is no such index",
                value=name,
                remedy=f"there is {', '.join(self.indices)}",
            ) from None

    def warm_up(self) -> None:
        """Load every encoder; one that fails is logged, and its index serves the rest."""
        for index in self.indices.values():
            try:
                index.warm_up()
            except SearchBackError as error:
                LOGGER.warning("index %r cannot answer words or pictures: %s", index.name, error)
            except Exception:  # a thread of its own runs this: nobody else would tell
                LOGGER.exception("index %r cannot be warmed up", index.name)

    def close(self) -> None:
        for index in self.indices.values():
            index.snapshot.close()
        self.encoders.close()
