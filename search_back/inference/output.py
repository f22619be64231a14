"""Where a run's result may go, and the manifest that completes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from search_back import __version__
from search_back.errors import ConfigError
from search_back.files import EMBEDDINGS_MANIFEST, FAILURES, sha256_file, write_json
from search_back.inference.items import Reader
from search_back.inference.writers import Written
from search_back.interfaces import Encoder

FORMAT = 1
STATS_FOLDER: Final = "stats"
_OURS = re.compile(
    rf"{re.escape(EMBEDDINGS_MANIFEST)}|{re.escape(FAILURES)}"
    r"|img_emb/img_emb_\d+\.npy|text_emb/text_emb_\d+\.npy|metadata/metadata_\d+\.parquet|stats/stats_\d+\.json"
    r"|(.*/)?(\.DS_Store|Thumbs\.db)"
)


def usable_output(folder: Path, *, overwrite: bool) -> Path:
    """The real path of a folder that a result may be put at; raises ``ConfigError``.

    A result replaces the whole folder, so one that holds anything but an earlier result is
    refused even with ``overwrite``: it may be the pictures themselves.
    """
    target = folder.expanduser().resolve()
    if not target.exists():
        return target
    if not target.is_dir():
        raise ConfigError("the output folder is a file", value=str(target), remedy="give another")
    if os.path.ismount(target):
        raise ConfigError(
            "the output folder is a mount point, which cannot be replaced as a whole",
            value=str(target),
            remedy=f"give a folder in it: {target / 'embeddings'}",
        )
    inside = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
    foreign = next((name for name in inside if not _OURS.fullmatch(name)), None)
    if foreign is not None:
        raise ConfigError(
            f"the output folder holds files that are no result of inference: {foreign}",
            value=str(target),
            remedy="give another --output-folder",
        )
    if inside and not overwrite:
        raise ConfigError(
            "the output folder holds the result of an earlier run",
            value=str(target),
            remedy="give another --output-folder, or --overwrite to replace it",
        )
    return target


def write_stats(
    folder: Path, *, count: int, failures: int, seconds: float, stages: Mapping[str, float]
) -> None:
    """``stats/stats_0.json``: how long the run took; ``stages`` in seconds, too."""
    (folder / STATS_FOLDER).mkdir()
    stats = {
        "count": count,
        "failures": failures,
        "seconds": round(seconds, 3),
        "items_per_second": round(count / seconds, 3) if seconds > 0 else None,
        "stages": {name: round(value, 3) for name, value in stages.items()},
    }
    write_json(folder / STATS_FOLDER / f"{STATS_FOLDER}_0.json", stats)


def write_manifest(
    folder: Path,
    *,
    encoder: Encoder,
    text_encoder: Encoder | None = None,
    reader: Reader,
    written: Written,
    has_image: bool,
    has_text: bool,
    failures: int,
    dropped: int,
    seconds: float,
) -> None:
    """``embeddings.json``: what the folder holds, which encoder made it, checksums of its files.

    ``text_encoder``: of the captions, where it is another.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "search_back": __version__,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "encoder": _described(encoder),
        **({"text_encoder": _described(text_encoder)} if text_encoder is not None else {}),
        "count": written.count,
        "dimension": encoder.identity.dimension,
        "partitions": written.partitions,
        "has_image": has_image,
        "has_text": has_text,
        "input": list(reader.inputs),
        "image_root": reader.image_root,
        "columns": list(written.columns),
        "failures": failures,
        "dropped": dropped,
        "seconds": round(seconds, 3),
        "items_per_second": round(written.count / seconds, 3) if seconds > 0 else None,
        "checksums": {path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
    }
    write_json(folder / EMBEDDINGS_MANIFEST, manifest)


def _described(encoder: Encoder) -> dict[str, Any]:
    return {**encoder.identity.to_json(), "computed_by": asdict(encoder.runtime)}
