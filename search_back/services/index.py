"""One index of a server."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_back.access import PictureAccess
from search_back.config import IndexOptions, ServerSettings
from search_back.encoders import parse_name
from search_back.errors import SearchBackError
from search_back.files import INDEX_FILES
from search_back.interfaces import Encoder
from search_back.metrics import Metrics
from search_back.search import SearchEngine, check_encoder
from search_back.services.encoders import EncoderPool
from search_back.services.heads import open_heads
from search_back.services.multilingual import USE_MCLIP, text_model_name
from search_back.services.snapshot import (
    IMAGE_PATH,
    FolderSnapshot,
    open_snapshot,
    read_manifest,
)
from search_back.types import EmbeddingTerm, EncoderIdentity, Page, Query

DEFAULT_MODEL: Final = "ViT-B/32"
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """What a folder held when it was opened."""

    snapshot: FolderSnapshot
    pictures: PictureAccess


class IndexService:
    """One index of the server: its files, its engine, its pictures. Thread-safe."""

    def __init__(
        self,
        name: str,
        options: IndexOptions,
        *,
        encoders: EncoderPool,
        metrics: Metrics,
        settings: ServerSettings,
    ) -> None:
        self.name = name
        self.options = options
        if options.clip_model:
            parse_name(options.clip_model)  # a name nobody knows stops the start, not a query
        _say_what_does_not_apply(name, options)
        self._limits = settings.limits
        self._state = self._open()
        self._encoders = encoders
        self._text_model_failed = False
        heads = open_heads(name, options, self.snapshot.indices)
        self.engine = SearchEngine(
            lambda: self._state.snapshot,
            self._encoder,
            metrics.timer,
            text_encoders={USE_MCLIP: self._text_encoder} if options.enable_mclip_option else {},
            detectors=heads.detectors,
            rated=heads.rated,
        )

    @property
    def snapshot(self) -> FolderSnapshot:
        return self._state.snapshot

    @property
    def pictures(self) -> PictureAccess:
        return self._state.pictures

    def reload(self) -> None:
        """Serve what the folder holds now.

        Queries under way end on what they began with, which goes when the last of them lets go of
        it; the next ones see the new state, or, where that cannot be opened, still the old one.
        Raises what opening does, also where the heads do not fit the vectors any more.
        """
        state = self._open()
        open_heads(self.name, self.options, state.snapshot.indices)
        self._state = state

    def _open(self) -> _State:
        manifest = read_manifest(self.options.indice_folder)
        return _State(
            open_snapshot(self.name, self.options, manifest),
            PictureAccess(_roots(self.options, manifest), self._limits),
        )

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
        return self.engine.search(query)

    def warm_up(self) -> None:
        """Load the encoder and touch the index, so that the first query need not wait."""
        modality, index = next(iter(self.snapshot.indices.items()))
        check_encoder(self.snapshot, index, self._encoder())
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
