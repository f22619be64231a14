"""Where a result goes: a folder of this machine, or an address elsewhere."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_cache_path

from search_back.errors import BadFolder, ConfigError
from search_back.files import EMBEDDINGS_MANIFEST
from search_back.inference.output import check_output
from search_back.inference.report import InferenceReport, Progress
from search_back.inference.settings import InferenceSettings
from search_back.remote import RemoteFile, journal_of, look, remote_state, upload
from search_back.remote.addresses import below, last_part, shown

_SAY_EVERY: Final = 100 << 20


@dataclass(frozen=True, slots=True)
class Here:
    """``folder`` of this machine."""

    folder: Path

    def check(self, *, overwrite: bool) -> None:
        """Raises ``ConfigError`` where no result may be put there."""
        check_output(self.folder, overwrite=overwrite)

    def exists(self) -> bool:
        return self.folder.exists()

    def is_filled(self) -> bool:
        """Whether an earlier result lies there."""
        return self.folder.is_dir() and any(self.folder.iterdir())

    def finish(self, report: InferenceReport, progress: Progress) -> InferenceReport:
        """The result lies in ``folder``; the report of the run as a whole."""
        return report


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An address; the result is made in ``folder`` and sent from there."""

    url: str
    folder: Path

    def check(self, *, overwrite: bool) -> None:
        state = remote_state(self.url, EMBEDDINGS_MANIFEST)
        # A journal tells that what lies there was sent from here, by a run that was stopped.
        if state == "other" and not journal_of(self.folder).exists():
            raise ConfigError(
                "the output holds files that are no whole result of inference",
                value=shown(self.url),
                remedy="give another --output-folder, or empty it",
            )
        check_output(self.folder, overwrite=True)

    def exists(self) -> bool:
        return self.is_filled()

    def is_filled(self) -> bool:
        return remote_state(self.url, EMBEDDINGS_MANIFEST) == "complete"

    def manifest(self) -> dict[str, Any]:
        """That of the result at the address; empty where there is none that can be read."""
        try:
            found = look(below(self.url, EMBEDDINGS_MANIFEST))
            value = json.loads(found.read()) if isinstance(found, RemoteFile) else {}
        except (BadFolder, OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def finish(self, report: InferenceReport, progress: Progress) -> InferenceReport:
        next_at = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal next_at
            if done < total and done >= next_at:
                progress.note(
                    f"sending to {shown(self.url)}: "
                    f"{done / 2**20:.0f} of {total / 2**20:.1f} MiB are there"
                )
                next_at = done + max(_SAY_EVERY, total / 10)

        upload(self.folder, self.url, last=EMBEDDINGS_MANIFEST, progress=tell)
        self.tidy()
        return dataclasses.replace(report, output_folder=self.url)

    def tidy(self) -> None:
        """What was made here is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        journal_of(self.folder).unlink(missing_ok=True)


def destination(settings: InferenceSettings) -> Here | Elsewhere:
    """Where ``settings.output_folder`` is."""
    output = settings.output
    if isinstance(output, Path):
        return Here(output)
    root = settings.cache_path or Path(user_cache_path("search_back"))
    name = f"{hashlib.sha256(output.encode()).hexdigest()[:16]}-{last_part(output)[:60]}"
    return Elsewhere(output, root.expanduser().resolve() / "outputs" / name)
