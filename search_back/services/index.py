"""One index of a server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_back.access import PictureAccess
from search_back.config import IndexOptions, ServerSettings
from search_back.encoders import parse_name
from search_back.errors import BadFolder, CorruptFile, IndexUnavailable, SearchBackError
from search_back.files import INDEX_FILES
from search_back.guard import Links
from search_back.interfaces import Encoder
from search_back.metrics import IndexState, Metrics
from search_back.search import SearchEngine, check_encoder
from search_back.services.encoders import EncoderPool
from search_back.services.heads import open_heads
from search_back.services.multilingual import USE_MCLIP, text_model_name
from search_back.services.snapshot import (
    IMAGE_PATH,
    FolderSnapshot,
    open_snapshot,
    recorded_encoder,
)
from search_back.types import EmbeddingTerm, EncoderIdentity, Page, Query

DEFAULT_MODEL: Final = "ViT-B/32"
RETRY_S: Final = 5.0
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """What a folder held when it was opened, and the engine on it."""

    snapshot: FolderSnapshot
    pictures: PictureAccess
    engine: SearchEngine
    wishes: tuple[str, ...]


class IndexService:
    """One index of the server: its files, its engine, its pictures. Thread-safe.

    Nothing is opened before it is needed or :meth:`open` is called. What cannot be opened is tried
    again, at most every ``RETRY_S`` seconds. ``secret``: shared by the processes that take each
    other's cursors. ``links``: signs the addresses of its pictures, where they need it.
    """

    def __init__(
        self,
        name: str,
        options: IndexOptions,
        *,
        encoders: EncoderPool,
        metrics: Metrics,
        settings: ServerSettings,
        secret: bytes | None = None,
        links: Links | None = None,
    ) -> None:
        self.name = name
        self.options = options
        if options.clip_model:
            parse_name(options.clip_model)  # a name nobody knows stops the start, not a query
        _say_what_does_not_apply(name, options)
        self._limits = settings.limits
        self._encoders = encoders
        self._metrics = metrics
        self._secret = secret
        self._links = links
        self._text_model_failed = False
        self._opening = threading.Lock()
        self._state: _State | None = None
        self._failure: tuple[SearchBackError, float] | None = None
        self._encoder_problem: str | None = None

    @property
    def snapshot(self) -> FolderSnapshot:
        """The files as they were last opened.

        Raises ``IndexUnavailable``, or ``CorruptFile`` where one was cut since.
        """
        return self._opened().snapshot

    @property
    def pictures(self) -> PictureAccess:
        return self._opened().pictures

    @property
    def engine(self) -> SearchEngine:
        return self._opened().engine

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the build wrote about the folder; empty where another tool made it."""
        return self._opened().snapshot.manifest

    @property
    def wishes(self) -> tuple[str, ...]:
        """The optional models that its queries may ask for."""
        return self._opened().wishes

    @property
    def is_open(self) -> bool:
        return self._state is not None

    @property
    def problem(self) -> str | None:
        """Why the index cannot answer; None where it can, or has not been tried."""
        state = self._state
        if state is None:
            return str(self._failure[0]) if self._failure else None
        try:
            state.snapshot.check()
        except CorruptFile as error:
            return str(error)
        return None

    @property
    def encoder_problem(self) -> str | None:
        """Why it cannot encode words and pictures, if that was tried and failed."""
        return self._encoder_problem

    @property
    def state(self) -> IndexState:
        """The index as it is now, for the metrics; reads nothing from the disk."""
        state = self._state
        waits = state is None and self._failure is None and self.options.open_on_first_query
        up = None if waits else state is not None and self.problem is None
        if state is None:
            return IndexState(self.name, up)
        files = state.snapshot.files
        items = {modality: len(index) for modality, index in state.snapshot.indices.items()}
        return IndexState(self.name, up, self._encoder_problem is None, items, files.size)

    def open(self) -> None:
        """Open the folder, unless it is open. Raises what keeps it from being opened."""
        with self._opening:
            if self._state is None:
                self._try()

    def reload(self) -> None:
        """Serve what the folder holds now.

        Queries under way end on what they began with, which goes when the last of them lets go of
        it; the next ones see the new state, or, where that cannot be opened, still the old one.
        Raises what opening does, also where the heads do not fit the vectors any more.
        """
        with self._opening:
            try:
                self._state = self._open()
            except SearchBackError as error:
                self._failure = error, time.monotonic()
                raise
            self._failure = None

    def close(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            state.snapshot.close()

    def _opened(self) -> _State:
        state = self._state
        if state is None:
            with self._opening:
                try:
                    state = self._state or self._try()
                except SearchBackError as error:
                    raise IndexUnavailable(
                        f"index {self.name!r} cannot be served: {error.what}",
                        value=error.value,
                        remedy=error.remedy,
                    ) from error
        state.snapshot.check()
        return state

    def _try(self) -> _State:
        if self._failure is not None and time.monotonic() - self._failure[1] < RETRY_S:
            raise self._failure[0]
        began = time.perf_counter()
        try:
            self._state = state = self._open()
        except SearchBackError as error:
            self._failure = error, time.monotonic()
            LOGGER.warning("index %r cannot be opened: %s", self.name, error)
            raise
        self._failure = None
        rows, took = len(state.snapshot.metadata), time.perf_counter() - began
        LOGGER.info("index %r is open: %d items, %.2f s", self.name, rows, took)
        return state

    def _open(self) -> _State:
        try:
            snapshot = open_snapshot(self.name, self.options)
            heads = open_heads(self.name, self.options, snapshot.indices)
        except OSError as error:
            raise BadFolder(
                "the folder cannot be read", value=error.filename, remedy=str(error.strerror)
            ) from error
        return _State(
            snapshot,
            PictureAccess(
                _roots(self.options, snapshot.manifest),
                self._limits,
                observer=self._metrics.look_up["thumbnails"],
            ),
            SearchEngine(
                lambda: snapshot,
                self._encoder,
                self._metrics.timer,
                text_encoders=self._text_wishes(),
                detectors=heads.detectors,
                rated=heads.rated,
                secret=self._secret,
                masks_observer=self._metrics.look_up["masks"],
                results_observer=self._metrics.look_up["results"],
            ),
            (*self._text_wishes(), *heads.detectors, *(["aesthetic_score"] if heads.rated else [])),
        )

    def _text_wishes(self) -> dict[str, Callable[[], Encoder | None]]:
        return {USE_MCLIP: self._text_encoder} if self.options.enable_mclip_option else {}

    @property
    def model(self) -> str:
        """The encoder's name: as set, else as recorded by the build, else OpenAI's smallest."""
        if self.options.clip_model:
            return self.options.clip_model
        identity = self.snapshot.identity
        return identity.name if identity is not None else DEFAULT_MODEL

    @cached_property
    def _encoder_options(self) -> dict[str, Any]:
        """What this index asks of its encoder beyond what the server asks of all."""
        return {
            name: value
            for name, option in _ENCODER_OPTIONS.items()
            if (value := getattr(self.options, option)) != getattr(_DEFAULTS, option)
        }

    def _encoder(self) -> Encoder:
        encoder = self._encoders.get(self.model, **self._encoder_options)
        identity = self.snapshot.identity
        if self.options.allow_encoder_mismatch and identity is not None:
            return _Trusted(encoder, identity)
        return encoder

    def _text_encoder(self) -> Encoder | None:
        """The encoder of ``use_mclip``; None, and a line in the log, where it cannot be had."""
        name = text_model_name(self.options.mclip_model)
        try:
            encoder = self._encoders.get(name, **self._encoder_options)
        except SearchBackError as error:
            # Every such query comes here: once is enough.
            log = LOGGER.debug if self._text_model_failed else LOGGER.warning
            self._text_model_failed = True
            log("index %r: use_mclip is ignored: %s", self.name, error)
            return None
        self._text_model_failed = False
        return encoder

    def search(self, query: Query) -> Page:
        return self._opened().engine.search(query)

    def picture_query(self, id_: int) -> str:
        """What the addresses of an item's pictures end in; empty where they are open to all."""
        return "" if self._links is None else self._links.query(self.name, id_)

    def warm_up(self) -> None:
        """Load the encoder and touch the index, so that the first query need not wait.

        Raises where it has no encoder, which :attr:`encoder_problem` remembers.
        """
        try:
            self._warm_up()
        except SearchBackError as error:
            self._encoder_problem = str(error)
            raise
        self._encoder_problem = None

    def _warm_up(self) -> None:
        name = self.options.clip_model
        if name is None:
            with suppress(OSError, SearchBackError):  # the opening will tell
                recorded = recorded_encoder(self.options.indice_folder)
                name = None if recorded is None else recorded.name
        if name is not None:  # while another thread opens the index
            self._encoders.warm_up(name, **self._encoder_options)
        modality, index = next(iter(self.snapshot.indices.items()))
        check_encoder(self.snapshot, index, self._encoder())
        if name is None:
            self._encoders.warm_up(self.model, **self._encoder_options)
        anything = EmbeddingTerm(np.ones(index.dimension, dtype=np.float32))
        unmeasured = SearchEngine(lambda: self.snapshot, self._encoder, lambda step: nullcontext())
        unmeasured.search(Query((anything,), modality=modality, k=1))
        if self.options.enable_mclip_option:
            self._text_encoder()

    @property
    def picture_columns(self) -> list[str]:
        """The metadata column that says where a picture is, if there is one."""
        return [IMAGE_PATH] if IMAGE_PATH in self.snapshot.metadata.schema.names else []


class _Trusted:
    """An encoder taken for the one that made the index: ``allow_encoder_mismatch``."""

    def __init__(self, encoder: Encoder, identity: EncoderIdentity) -> None:
        self._encoder = encoder
        self.identity = identity

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


_DEFAULTS: Final = IndexOptions(indice_folder=Path())
# As load_encoder calls them, and as the options of an index do.
_ENCODER_OPTIONS: Final = {
    "runtime": "encoder_runtime",
    "precision": "encoder_precision",
    "jpeg_draft": "jpeg_draft",
}


def _say_what_does_not_apply(name: str, options: IndexOptions) -> None:
    """Options that are taken for the sake of old files and do nothing here, into the log."""
    if options.mclip_model and not options.enable_mclip_option:
        LOGGER.warning("index %r: mclip_model has no effect without enable_mclip_option", name)
    if options.use_jit:
        LOGGER.info("index %r: use_jit has no effect", name)
    if options.enable_faiss_memory_mapping:
        for file in INDEX_FILES.values():
            if (options.indice_folder / file).is_dir():
                LOGGER.info(
                    "index %r: %s is a folder, whose lists stay on the disk with or without "
                    "enable_faiss_memory_mapping",
                    name,
                    file,
                )


def _roots(options: IndexOptions, manifest: Mapping[str, Any]) -> tuple[Path, ...]:
    if options.image_roots is not None:
        return options.image_roots
    recorded = manifest.get("image_root")
    return (Path(recorded),) if recorded else ()
