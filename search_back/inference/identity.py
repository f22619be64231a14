"""What makes two runs the same run: the same settings, the same encoder, the same input."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Final

from search_back.inference.items import Reader
from search_back.inference.settings import InferenceSettings
from search_back.interfaces import Encoder
from search_back.types import fingerprint

# Settings that change nothing in the rows, only how they are made or where they are put.
_NO_MATTER: Final = frozenset(
    (
        *("input_dataset", "output_folder", "num_prepro_workers", "write_batch_size"),
        *("output_partition_count", "max_failures", "overwrite", "restart", "checkpoint_seconds"),
        "cache_path",
        "distribution_strategy",
    )
)
_OF_THE_FILES: Final = ("write_batch_size", "output_partition_count")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is asked to do.

    ``settings``: those that the rows depend on; ``files``: those that the files depend on, too;
    ``encoders``: ``encoder`` and, where captions have another, ``text_encoder``.
    """

    inputs: tuple[str, ...]
    image_root: str | None
    encoders: dict[str, dict[str, Any] | None]
    settings: dict[str, Any]
    files: dict[str, Any] = field(default_factory=dict)

    def to_json(self, **further: Any) -> dict[str, Any]:
        """What an unfinished run must have in common with the one that goes on with it."""
        return {"input": list(self.inputs), **self.encoders, **self.settings, **further}

    @property
    def key(self) -> str:
        """64 hex digits, equal for runs that make the same files of the same input."""
        return fingerprint(self.to_json(**self.files))


def describe(
    settings: InferenceSettings, reader: Reader, encoder: Encoder, text_encoder: Encoder | None
) -> Run:
    values = asdict(settings)
    return Run(
        inputs=reader.inputs,
        image_root=reader.image_root,
        encoders={
            "encoder": _described(encoder),
            "text_encoder": _described(text_encoder) if text_encoder is not None else None,
        },
        settings={name: value for name, value in values.items() if name not in _NO_MATTER},
        files={name: values[name] for name in _OF_THE_FILES},
    )


def input_digest(stamps: Iterable[tuple[str, str]]) -> str:
    """Of the names and stamps of units, in order: ``N`` and 64 hex digits, for N units."""
    digest, count = hashlib.sha256(), 0
    for name, stamp in stamps:
        line = f"{name}\0{stamp}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        count += 1
    return f"{count} {digest.hexdigest()}"


def is_unchanged(reader: Reader, asked: Run, made: Mapping[str, Any], *, subset: bool) -> bool:
    """Whether a manifest is that of this very run, of this very input.

    ``subset``: the run reads the first units only.
    """
    digest = str(made.get("input_sha256", ""))
    if made.get("run") != asked.key or not digest:
        return False
    count = int(digest.split(maxsplit=1)[0])
    units = islice(reader.units(), count if subset else None)
    return input_digest((unit.name, unit.stamp()) for unit in units) == digest


def _described(encoder: Encoder) -> dict[str, Any]:
    return {**encoder.identity.to_json(), "computed_by": asdict(encoder.runtime)}
