"""Encoders that run exported towers: no torch, a start in tens of milliseconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from search_back.encoders.base import BaseEncoder
from search_back.encoders.cpu import adds_bytes_exactly
from search_back.encoders.description import EncoderDescription, Tower, not_an_encoder
from search_back.encoders.identity import make_identity
from search_back.encoders.runtimes import OpenTower, tower_opener
from search_back.encoders.tokens import open_tokenizer
from search_back.errors import ConfigError, ModelUnavailable
from search_back.types import FloatArray, IdArray, RuntimeInfo

LOGGER = logging.getLogger(__name__)
_FULL_BITS: Final = 8


class ExportedEncoder(BaseEncoder):
    """A folder with ``encoder.json`` and the towers it names.

    ``name``: what the identity is called, so that it can be loaded again by it; by default as the
    description says. ``threads``: how many a call may use; 0 leaves the choice to the runtime.
    A tower is opened when it is first used. Calls from several threads run side by side.
    """

    def __init__(self, folder: Path, *, name: str | None = None, threads: int = 0) -> None:
        about = EncoderDescription.read(folder)
        try:
            tokenizer = open_tokenizer(folder, about.tokenizer)
            identity = make_identity(
                name=name or about.name,
                dimension=about.dimension,
                weights_sha256=about.weights_sha256,
                preprocessing=about.preprocessing,
                tokenizer=tokenizer,
            )
        except (KeyError, TypeError, ValueError, OSError, ConfigError) as error:
            raise not_an_encoder(folder, error) from error
        if about.checks.get("weight_bits") == _FULL_BITS and adds_bytes_exactly() is False:
            LOGGER.warning(
                "%s was exported on a processor with VNNI, which this one lacks: its int8 vectors "
                "may be wrong here; export it again on this machine",
                folder,
            )
        opener = tower_opener(about.runtime)
        super().__init__(
            identity,
            about.preprocessing,
            tokenizer,
            runtime=RuntimeInfo(opener.title, about.precision, opener.device(), threads),
            text_positions=about.text_positions,
        )
        self._folder = folder
        self._towers = {
            kind: _Lazy(lambda file=file: opener(folder / file, threads=threads))  # type: ignore[misc]
            for kind, file in about.towers.items()
        }

    def _image_tower(self, pixels: FloatArray) -> FloatArray:
        return self._tower("image")(pixels)

    def _text_tower(self, ids: IdArray) -> FloatArray:
        return self._tower("text")(ids)

    def _tower(self, kind: Tower) -> OpenTower:
        if kind not in self._towers:
            raise ModelUnavailable(
                f"the model {self.identity.name!r} has no {kind} tower", value=str(self._folder)
            )
        return self._towers[kind].get()

    def close(self) -> None:
        for tower in self._towers.values():
            tower.close()


class _Lazy:
    """A tower, opened once, by whoever first needs it."""

    def __init__(self, open_: Callable[[], OpenTower]) -> None:
        self._open = open_
        self._lock = threading.Lock()
        self._tower: OpenTower | None = None

    def get(self) -> OpenTower:
        tower = self._tower
        if tower is None:
            with self._lock:
                if self._tower is None:
                    self._tower = self._open()
                tower = self._tower
        return tower

    def close(self) -> None:
        with self._lock:
            self._tower = None
