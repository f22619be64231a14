"""The hidden folder in which a build keeps what is finished, so that a killed one goes on."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from search_back.errors import BadFolder, CorruptFile
from search_back.files import read_json, sweep, write_json

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
    path = target.with_name(f".{target.name}.work")
    path.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDONLY)
    try:
        try:
            # Held by the open folder, so it ends with the process, however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadFolder(
                "another process is building this index",
                value=str(target),
                remedy="wait for it, or choose another folder",
            ) from error
        _recover(target)
        sweep(path)
        yield WorkFolder(path, inputs)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def publish_links(files: Mapping[str, Path], part: Path) -> None:
    """Lay files into a folder under new names, without copying where the disk allows."""
    for name, source in files.items():
        target = part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def _recover(target: Path) -> None:
    """Undo a publication that was cut off between its two renames, and remove its parts."""
    for old in sorted(target.parent.glob(f".{target.name}.*.old")):
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, target)
    for part in target.parent.glob(f".{target.name}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _clear(path: Path) -> None:
    for left in path.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
