"""One remote file to a local path, going on where a lost connection left it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Event
from typing import Final

from search_back.remote.addresses import filesystem, shown
from search_back.remote.look import RemoteFile, check_size, info_of, stamp_of
from search_back.remote.retries import RETRIES, Retries

# Bytes asked for at once: a request's delay is small against it, and so is what a lost one costs.
BLOCK: Final = 1 << 24
_ONCE: Final = Retries(attempts=1)


def download(
    file: RemoteFile,
    target: Path,
    *,
    retries: Retries = RETRIES,
    stop: Event | None = None,
    block: int = BLOCK,
) -> None:
    """Write the file to ``target``; raises ``OSError``, also soon after ``stop`` is set.

    A try that went further than those before is not counted: the end is as many tries in a row as
    ``retries`` allows that did not. What lies at ``target`` after an error is not the file.
    """
    running = _Download(file, target, stop=stop or Event(), block=block)
    while not retries.run(running.go_on, file.url, stop=stop):
        pass


class _Download:
    """What the tries of one download share. For one thread."""

    def __init__(self, file: RemoteFile, target: Path, *, stop: Event, block: int) -> None:
        self._file = file
        self._target = target
        self._stop = stop
        self._block = block
        self._ranges = True
        target.write_bytes(b"")

    def go_on(self) -> bool:
        """Append what is missing; False where a part of it came, an error where nothing did."""
        before = self._size
        if before and not self._may_resume(before):
            os.truncate(self._target, 0)
        try:
            self._append()
            check_size(self._size, self._file)
        except Exception:
            if self._size > before:
                return False
            raise
        return True

    @property
    def _size(self) -> int:
        return self._target.stat().st_size

    def _may_resume(self, size: int) -> bool:
        """Whether the bytes that are here begin the file that is there now."""
        if not self._ranges or (self._file.size is not None and size > self._file.size):
            return False
        info = info_of(self._file.url, retries=_ONCE)
        return info is not None and stamp_of(info) == self._file.stamp

    def _append(self) -> None:
        try:
            self._copy()
        except ValueError:
            # The filesystem cannot start in the middle: a web server without range requests.
            if not self._ranges:
                raise
            self._ranges = False
            os.truncate(self._target, 0)
            self._copy()

    def _copy(self) -> None:
        system, path = filesystem(self._file.url)
        start = self._size
        # Of http, blocks of 0 bytes are one answer from the start to the end.
        block_size = self._block if self._ranges else 0
        with (
            open(self._target, "ab") as target,
            system.open(path, "rb", block_size=block_size, cache_type="none") as source,
        ):
            if start:
                source.seek(start)
            while not self._stop.is_set():
                data = source.read(self._block)
                if not data:
                    return
                target.write(data)
        raise OSError(errno.ECANCELED, "the copy is not wanted any more", shown(self._file.url))
