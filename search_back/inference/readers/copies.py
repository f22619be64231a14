"""Remote files of an input as files of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from search_back.errors import BadFolder
from search_back.remote import LocalCopies, LocalCopy, RemoteFile


class Copies:
    """Gives local copies of remote files one after the other, the next one on its way.

    Nothing is downloaded before ``path`` is first called, so that a run may begin anywhere.
    ``folder``: where copies stay; None: each is removed when the next is asked for. A context
    manager, for one thread.
    """

    def __init__(self, files: Sequence[RemoteFile], folder: Path | None) -> None:
        self._files = files
        self._folder = folder
        self._stack = ExitStack()
        self._coming: Iterator[LocalCopy] = iter(())
        self._next = -1

    def __enter__(self) -> Copies:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def path(self, number: int) -> Path:
        """Where file ``number`` lies until the next call; raises ``OSError``."""
        if number != self._next:
            self._stack.close()
            copies = LocalCopies(self._files[number:], folder=self._folder)
            self._coming = iter(self._stack.enter_context(copies))
            self._next = number
        self._next += 1
        return next(self._coming).path()


def all_copies(files: Sequence[RemoteFile], folder: Path) -> list[Path]:
    """Every file at once, in a folder that keeps them; raises ``BadFolder``."""
    paths: list[Path] = []
    with LocalCopies(files, folder=folder) as copies:
        for copy in copies:
            try:
                paths.append(copy.path())
            except OSError as error:
                raise BadFolder(
                    f"an input cannot be read ({error.strerror})",
                    value=copy.file.name,
                    remedy="try again: what has come is kept",
                ) from error
    return paths
