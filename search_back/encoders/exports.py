"""Exported models on this machine: where they lie, and which one serves a name.

An export lies under the identity of its encoder and is found by the name that it was made from,
without reading the weights. One that is older than its weights is not used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search_back.encoders.description import (
    ENCODER_FILE,
    EncoderDescription,
    ExportRuntime,
    Precision,
)
from search_back.encoders.sources.weights import weights_origin
from search_back.errors import SearchBackError
from search_back.types import EncoderIdentity, fingerprint

CACHE_VARIABLE: Final = "SEARCH_BACK_CACHE"
FASTEST_FIRST: Final[tuple[Precision, ...]] = ("int8", "bf16", "fp16", "fp32")
_RUNTIMES: Final[tuple[ExportRuntime, ...]] = ("onnx", "openvino")
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Export:
    """A folder with an exported model."""

    folder: Path
    about: EncoderDescription

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir())


def cache_folder() -> Path:
    """``$SEARCH_BACK_CACHE/encoders``, or where the platform keeps caches."""
    import platformdirs

    root = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_path("search_back")
    return Path(root) / "encoders"


def export_folder(
    identity: EncoderIdentity, *, runtime: ExportRuntime, precision: Precision
) -> Path:
    """Where the export of an encoder for a runtime and precision lies."""
    name = fingerprint({"name": identity.name})[:8]
    return cache_folder() / f"{identity.key[:24]}-{name}-{runtime}-{precision}"


def exports() -> Iterator[Export]:
    """Every export in the cache; folders that hold none are passed over."""
    if not cache_folder().is_dir():
        return
    for folder in sorted(cache_folder().iterdir()):
        if folder.name.startswith(".") or not (folder / ENCODER_FILE).is_file():
            continue
        try:
            yield Export(folder, EncoderDescription.read(folder))
        except SearchBackError as error:
            LOGGER.warning("%s", error)


def find_export(
    name: str, *, runtime: ExportRuntime | None = None, precision: Precision | None = None
) -> Export | None:
    """The export that serves the model ``name``; of several, ONNX first, then the fastest."""
    found = [
        export
        for export in exports()
        if export.about.name == name
        and runtime in (None, export.about.runtime)
        and precision in (None, export.about.precision)
        and not _is_stale(export)
    ]
    return min(found, key=_rank, default=None)


def _is_stale(export: Export) -> bool:
    """Whether the weights that it was made from have changed since. Absent ones cannot tell."""
    recorded = export.about.source.get("weights", ())
    weights = [Path(path) for path in ([recorded] if isinstance(recorded, str) else recorded)]
    if not weights or not all(path.is_file() for path in weights):
        return False
    if weights_origin(*weights) == dict(export.about.source):
        return False
    LOGGER.warning(
        "the export of %s is older than %s and is not used: export it again",
        export.about.name,
        weights[0],
    )
    return True


def _rank(export: Export) -> tuple[int, int]:
    about = export.about
    return _RUNTIMES.index(about.runtime), FASTEST_FIRST.index(about.precision)
