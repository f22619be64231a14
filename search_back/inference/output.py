"""Where a run's result may go, and the manifest that completes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from search_back import __version__
from search_back.errors import ConfigError, CorruptFile
from search_back.files import EMBEDDINGS_MANIFEST, FAILURES, read_json, sha256_file, write_json
from search_back.inference.identity import Run
from search_back.inference.report import EXAMPLES, Failure, InferenceReport

FORMAT = 1
STATS_FOLDER: Final = "stats"
_OURS = re.compile(
    rf"{re.escape(EMBEDDINGS_MANIFEST)}|{re.escape(FAILURES)}"
    r"|img_emb/img_emb_\d+\.npy|text_emb/text_emb_\d+\.npy|metadata/metadata_\d+\.parquet|stats/stats_\d+\.json"
    r"|(.*/)?(\.DS_Store|Thumbs\.db)"
)


def check_output(target: Path, *, overwrite: bool) -> None:
    """Whether a result may be put at a path; raises ``ConfigError``.

    A result replaces the whole folder, so one that holds anything but an earlier result is
    refused even with ``overwrite``: it may be the pictures themselves. Without it, so is an earlier
    result that does not say what made it.
    """
    if not target.exists():
        return
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
    if inside and not overwrite and made_by(target) is None:
        raise earlier_result(target)


def made_by(folder: Path) -> str | None:
    """What the run whose result a folder holds was asked to do: ``run`` of its manifest."""
    found = read_manifest(folder).get("run")
    return found if isinstance(found, str) else None


def read_manifest(folder: Path) -> dict[str, Any]:
    """``embeddings.json`` of a folder; empty where there is none that can be read."""
    try:
        return read_json(folder / EMBEDDINGS_MANIFEST)
    except (OSError, CorruptFile):
        return {}


def earlier_result(target: Path | str) -> ConfigError:
    """The error of an output that another run has filled."""
    return ConfigError(
        "the output folder holds the result of an earlier run",
        value=str(target),
        remedy="give another --output-folder, or --overwrite to replace it",
    )


def write_stats(folder: Path, report: InferenceReport, stages: Mapping[str, float]) -> None:
    """``stats/stats_0.json``: when, and how long it took; ``stages`` in seconds, too.

    ``seconds``: of the process that finished the run.
    """
    (folder / STATS_FOLDER).mkdir()
    stats = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "count": report.count,
        "failures": report.failures,
        "seconds": round(report.seconds, 3),
        "items_per_second": round(report.items_per_second, 3) or None,
        "stages": {name: round(value, 3) for name, value in stages.items()},
    }
    write_json(folder / STATS_FOLDER / f"{STATS_FOLDER}_0.json", stats)


def write_manifest(folder: Path, report: InferenceReport, run: Run, digest: str) -> None:
    """``embeddings.json``: what the folder holds, which encoder made it, checksums of its files.

    It tells no times, so that the same input gives the same bytes. ``digest``: of the input.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "search_back": __version__,
        **_encoders(run, report),
        "count": report.count,
        "dimension": report.dimension,
        "partitions": report.partitions,
        "has_image": report.has_image,
        "has_text": report.has_text,
        "input": list(run.inputs),
        "image_root": run.image_root,
        "columns": list(report.columns),
        "failures": report.failures,
        "dropped": report.dropped,
        "duplicates": report.duplicates,
        "run": run.key,
        "input_sha256": digest,
        "checksums": {
            name: sha256_file(path)
            for name, path in zip(names, files, strict=True)
            if not name.startswith(f"{STATS_FOLDER}/")
        },
    }
    write_json(folder / EMBEDDINGS_MANIFEST, manifest)


def _encoders(run: Run, report: InferenceReport) -> dict[str, Any]:
    """The encoders that had a part in it."""
    used = {"encoder": True, "text_encoder": report.has_text}
    return {name: value for name, value in run.encoders.items() if value and used[name]}


def read_report(folder: Path) -> InferenceReport:
    """The report of the run whose result a folder holds."""
    failures = pq.ParquetFile(folder / FAILURES).iter_batches(EXAMPLES)
    first = [Failure(**row) for batch in islice(failures, 1) for row in batch.to_pylist()]
    return report_of(folder, read_json(folder / EMBEDDINGS_MANIFEST), first)


def report_of(
    output: Path | str, manifest: Mapping[str, Any], first: Sequence[Failure] = ()
) -> InferenceReport:
    """The report of the run that has written a manifest."""
    return InferenceReport(
        output_folder=output,
        count=manifest["count"],
        dimension=manifest["dimension"],
        partitions=manifest["partitions"],
        has_image=manifest["has_image"],
        has_text=manifest["has_text"],
        columns=tuple(manifest["columns"]),
        failures=manifest["failures"],
        dropped=manifest["dropped"],
        duplicates=manifest.get("duplicates", 0),
        seconds=0.0,
        notes=("the output holds the result of this run already: nothing was done",),
        first_failures=tuple(first),
    )
