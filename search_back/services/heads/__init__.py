"""The detectors and aesthetic embeddings of an index, from the files its options name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from search_back.config import IndexOptions, PinnedFile
from search_back.interfaces import VectorIndex
from search_back.search.screening import USE_SAFETY_MODEL, USE_VIOLENCE_DETECTOR, Detector
from search_back.services.heads.aesthetics import load_aesthetics
from search_back.services.heads.load import load_head
from search_back.types import FloatArray, Modality

__all__ = ["Heads", "load_aesthetics", "load_head", "open_heads"]
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heads:
    """``detectors``: by the wish that asks for them; ``rated``: embeddings by aesthetic score."""

    detectors: Mapping[str, Detector] = field(default_factory=dict)
    rated: Mapping[int, FloatArray] = field(default_factory=dict)


def open_heads(name: str, options: IndexOptions, indices: Mapping[Modality, VectorIndex]) -> Heads:
    """Load what the options of an index ask for, for vectors of the length of ``indices``.

    Raises ``ConfigError``, ``CorruptFile`` or ``DimensionMismatch``, which name the file.
    """
    dimension = next(iter(indices.values())).dimension
    detectors = {}
    for wish, (head_option, switch, threshold) in _DETECTORS.items():
        file = _file(name, options, head_option, switch)
        if file is not None:
            head = load_head(file, dimension=dimension)
            for index in indices.values():
                head.check(index.dimension, owner=f"the vectors of index {name!r}")
            LOGGER.info("index %r: %s is %s", name, head_option, head)
            detectors[wish] = Detector(head, getattr(options, threshold))
        elif getattr(options, threshold) is not None:
            LOGGER.warning("index %r: %s has no effect without %s", name, threshold, head_option)
    file = _file(name, options, "aesthetic_embeddings", "provide_aesthetic_embeddings")
    rated = load_aesthetics(file, dimension=dimension) if file is not None else {}
    return Heads(detectors, rated)


# By wish: the options that name the head, that did so for clip-retrieval, and that say how
# strict it is.
_DETECTORS: Final = {
    USE_SAFETY_MODEL: ("safety_head", "provide_safety_model", "safety_threshold"),
    USE_VIOLENCE_DETECTOR: ("violence_head", "provide_violence_detector", "violence_threshold"),
}


def _file(name: str, options: IndexOptions, option: str, switch: str) -> PinnedFile | None:
    """What an option names or, where it is silent, the older switch."""
    named: PinnedFile | None = getattr(options, option)
    switched: bool | PinnedFile = getattr(options, switch)
    if named is None and isinstance(switched, PinnedFile):
        return switched
    if named is None and switched:
        LOGGER.warning(
            "index %r: %s has no effect without a file: give %s; queries that ask for it are "
            "answered without",
            name,
            switch,
            option,
        )
    return named
