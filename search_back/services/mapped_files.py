"""Files that are mapped into memory, watched for what would make reading them fatal."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from pathlib import Path

from search_back.errors import CorruptFile


class MappedFiles:
    """Remembers how long files were, and sees when one has been cut since.

    Holds a descriptor of each, so that the file that was opened is looked at and not another that
    took its name: files that were removed or replaced can still be read. Thread-safe.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._held: list[tuple[int, int, Path]] = []
        self._closing = weakref.finalize(self, _close, self._held)
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            self._held.append((descriptor, os.fstat(descriptor).st_size, path))

    @property
    def size(self) -> int:
        """Bytes of all of them, as they were opened."""
        return sum(size for _, size, _ in self._held)

    def check(self) -> None:
        """Raise ``CorruptFile``, which names the first file that is shorter than it was."""
        for descriptor, size, path in self._held:
            now = os.fstat(descriptor).st_size
            if now < size:
                raise CorruptFile(
                    f"{path} was cut while it was served",
                    value=f"{now} of {size} bytes",
                    remedy="restore the file, then reload",
                )

    def close(self) -> None:
        self._closing()


def _close(held: list[tuple[int, int, Path]]) -> None:
    for descriptor, _, _ in held:
        os.close(descriptor)
    held.clear()
