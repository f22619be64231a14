"""Remote files as local ones, each downloaded while the one before it is used."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Final

from search_back.errors import CorruptFile
from search_back.files import publish, read_json, write_json
from search_back.remote.download import download
from search_back.remote.look import RemoteFile
from search_back.remote.retries import RETRIES, Retries

# A name's end is its extension; with what is put before it, it fits every disk.
_NAME_LENGTH: Final = 100
# A part that nobody wrote to for so long was left by a killed run: no server is silent that long.
_LEFT_S: Final = 6 * 3600.0


class LocalCopy:
    """One file of :class:`LocalCopies`, on its way or here. For one thread."""

    def __init__(
        self, file: RemoteFile, coming: Future[Path], *, stop: Event, passing: Path | None
    ) -> None:
        self.file = file
        self._coming = coming
        self._stop = stop
        self._passing = passing

    def path(self) -> Path:
        """Where the whole file lies, until the next copy is asked for; waits for it.

        Raises ``OSError`` where it could not be had; the copies after it are not concerned.
        """
        return self._coming.result()

    def drop(self) -> None:
        """End a download that still runs, and remove a copy that is not to stay."""
        self._stop.set()
        if not self._coming.cancel():
            wait([self._coming])
        if self._passing is not None:
            self._passing.unlink(missing_ok=True)


class LocalCopies:
    """``with LocalCopies(files) as copies: for copy in copies: use(copy.path())``.

    ``folder``: where copies stay, each under a part of its address's sha256 and its name, beside a
    JSON file that tells its address and stamp; one whose file has the same stamp still is not
    downloaded again. None: each copy is removed as soon as the next is asked for, and no more than
    ``ahead + 1`` are on the disk, whole or in part, at any time.

    ``ahead``: how many files are downloaded before their turn, each in a thread of its own. The
    object itself is for one thread, and for one pass over its files. Several processes may share
    a folder.
    """

    def __init__(
        self,
        files: Iterable[RemoteFile],
        *,
        folder: Path | None = None,
        ahead: int = 1,
        retries: Retries = RETRIES,
    ) -> None:
        self._files = enumerate(files)
        self._folder = folder
        self._ahead = ahead
        self._retries = retries
        self._coming: deque[LocalCopy] = deque()

    def __enter__(self) -> LocalCopies:
        if self._folder is None:
            self._home = Path(tempfile.mkdtemp(prefix="search_back-"))
        else:
            self._home = self._folder
            self._home.mkdir(parents=True, exist_ok=True)
            _sweep(self._home)
        self._threads = ThreadPoolExecutor(max(1, self._ahead), thread_name_prefix="download")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for copy in self._coming:
            copy.drop()
        self._threads.shutdown()
        if self._folder is None:
            shutil.rmtree(self._home, ignore_errors=True)

    def __iter__(self) -> Iterator[LocalCopy]:
        self._start(self._ahead + 1)
        while self._coming:
            yield self._coming[0]
            self._coming.popleft().drop()
            self._start(1)

    def _start(self, count: int) -> None:
        for number, file in islice(self._files, count):
            stop = Event()
            if self._folder is None:
                # The number, since two folders may hold files of one name.
                target = self._home / f"{number}-{_plain(file.name)}"
                coming = self._threads.submit(self._download, file, target, stop)
            else:
                target = self._home / copy_name(file)
                coming = self._threads.submit(self._cached, file, target, stop)
            self._coming.append(
                LocalCopy(file, coming, stop=stop, passing=target if self._folder is None else None)
            )

    def _download(self, file: RemoteFile, target: Path, stop: Event) -> Path:
        download(file, target, retries=self._retries, stop=stop)
        return target

    def _cached(self, file: RemoteFile, target: Path, stop: Event) -> Path:
        note = target.with_name(f"{target.name}.json")
        if file.stamp and target.exists() and _noted(note) == (file.url, file.stamp):
            return target
        with publish(target) as part:
            self._download(file, part, stop)
            # Killed between the two, a run leaves a copy without a note: it is not used.
            note.unlink(missing_ok=True)
        write_json(note, {"url": file.url, "stamp": file.stamp})
        return target


def copy_name(file: RemoteFile) -> str:
    """What a copy that stays is called: a part of its address's sha256, and its name."""
    return f"{hashlib.sha256(file.url.encode()).hexdigest()[:16]}-{_plain(file.name)}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[-_NAME_LENGTH:]


def _noted(note: Path) -> tuple[object, object]:
    try:
        told = read_json(note)
    except (OSError, CorruptFile):
        return None, None
    return told.get("url"), told.get("stamp")


def _sweep(folder: Path) -> None:
    """Remove what killed runs left, but not what another one writes now."""
    for part in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _LEFT_S:
                part.unlink()
