"""Runs that keep each batch as soon as it is done, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_back.files import sha256_file
from search_back.inference import InferenceReport, InferenceSettings, run
from search_back.inference.readers import Fetch
from tests.fakes import FakeEncoder
from tests.inference.mortal import Killed


def embed(
    source: Path | str,
    out: Path | str,
    encoder: FakeEncoder | None = None,
    *,
    fetch: Fetch | None = None,
    **changes: Any,
) -> InferenceReport:
    """``changes``: settings that differ from those of a small run."""
    values: dict[str, Any] = {"batch_size": 2, "checkpoint_seconds": 0, **changes}
    settings = InferenceSettings((str(source),), out, **values)
    return run(settings, encoder or FakeEncoder(), fetch=fetch)


def embed_cut(source: Path, out: Path, encoder: FakeEncoder, **changes: Any) -> InferenceReport:
    """One whose batches, partitions and columns all end within the input."""
    values: dict[str, Any] = {
        **{"batch_size": 4, "num_prepro_workers": 2, "enable_metadata": True},
        **{"write_batch_size": 17, "max_metadata_columns": 5},
        **({"input_format": "webdataset"} if source.name == "tars" else {}),
        **changes,
    }
    return embed(source, out, encoder, **values)


def at_last(attempt: Callable[[], InferenceReport], out: Path) -> InferenceReport:
    """What a run reports in the end that dies more than once; until then nothing is at ``out``."""
    for deaths in range(100):
        try:
            report = attempt()
        except Killed:
            assert not out.exists()
        else:
            assert deaths >= 2
            return report
    raise AssertionError("it comes to no end")


def contents(folder: Path) -> dict[str, str]:
    """The checksums of a result, but for the times it took."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
    del found["stats/stats_0.json"]
    return found
