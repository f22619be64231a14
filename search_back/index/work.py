"""The hidden folder in which a build keeps what is finished, so that a killed one goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from search_back.errors import BadFolder, CorruptFile
from search_back.files import read_json, sweep, write_json
from search_back.workfolder import holding, work_folder

RECORD: Final = "record.json"


class WorkFolder:
    """Finished stages of one build: files, and a record of what is known of them.

    Each file is whole or absent: it is written beside and renamed.
    """

    def __init__(self, path: Path, inputs: str) -> None:
        self.path = path
        self._record: dict[str, Any] = {"inputs": inputs, "stages": {}}
        try:
            kept = read_json(path / RECORD) if (path / RECORD).is_file() else {}
        except CorruptFile:
            kept = {}
        if kept.get("inputs") == inputs:
            self._record = kept
        else:
            _clear(path)
            write_json(path / RECORD, self._record)

    def stage(self, name: str) -> dict[str, Any] | None:
        """What a finished stage left in the record; None for one that is not finished."""
        found: dict[str, Any] | None = self._record["stages"].get(name)
        return found

    def finish(self, name: str, about: Mapping[str, Any]) -> None:
        self._record["stages"][name] = dict(about)
        write_json(self.path / RECORD, self._record)


@contextmanager
def work_beside(target: Path, inputs: str) -> Iterator[WorkFolder]:
    """The work folder of a target, for one process at a time; removed when the block ends well.

    ``inputs``: what the build is made from; what another build left is thrown away. Also clears
    up after a build that was killed while it published. Raises ``BadFolder`` where another
    process is at work.
    """
    busy = BadFolder(
        "another process is building this index",
        value=str(target),
        remedy="wait for it, or choose another folder",
    )
    with holding(target, otherwise=busy):
        path = work_folder(target)
        path.mkdir(exist_ok=True)
        sweep(path)
        yield WorkFolder(path, inputs)
        shutil.rmtree(path, ignore_errors=True)


def publish_links(files: Mapping[str, Path], part: Path) -> None:
    """Lay files into a folder under new names, without copying where the disk allows."""
    for name, source in files.items():
        target = part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def _clear(path: Path) -> None:
    for left in path.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
