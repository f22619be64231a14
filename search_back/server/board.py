"""What the processes of one server tell each other: small files in a folder of their own."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_back import errors
from search_back.errors import CorruptFile, SearchBackError
from search_back.files import read_json, write_json

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Notice:
    """A process, and its last reload.

    ``seat``: a number that no other running process of the server has, from 1. ``reloaded_at``:
    when that was done, in seconds of ``time.monotonic()``, which all processes of a machine share;
    0: not yet. ``failed``: the indices that it left as they were, and why.
    """

    pid: int
    seat: int
    reloaded_at: float = 0.0
    failed: dict[str, str] | None = None


class Board:
    """The folder. Whoever starts the processes makes it and takes it away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def metrics(self) -> Path:
        """The folder in which the processes keep their metrics."""
        return self.folder / "metrics"

    def pin(self, notice: Notice) -> None:
        write_json(self._path(notice.pid), asdict(notice))

    def take_down(self, pid: int) -> None:
        self._path(pid).unlink(missing_ok=True)

    def notices(self) -> list[Notice]:
        """Of every process that is there, by rising number."""
        found = []
        for path in sorted(self.folder.glob("worker-*.json")):
            # One may go while this looks.
            with suppress(OSError, CorruptFile, TypeError):
                found.append(Notice(**read_json(path)))
        return sorted(found, key=lambda notice: notice.pid)

    def wait_for_reload(self, since: float, *, timeout_s: float) -> list[Notice]:
        """The notices once all processes have reloaded after ``since``, or the time is over."""
        until = time.monotonic() + timeout_s
        while True:
            notices = self.notices()
            if all(n.reloaded_at > since for n in notices) or time.monotonic() > until:
                return notices
            time.sleep(POLL_S)

    def tell_failure(self, error: SearchBackError) -> None:
        """Leave word of what kept a process from starting."""
        value: dict[str, Any] = {
            "kind": type(error).__name__,
            "what": error.what,
            "value": None if error.value is None else str(error.value),
            "remedy": error.remedy,
        }
        write_json(self.folder / "failure.json", value)

    def failure(self) -> SearchBackError | None:
        try:
            told = read_json(self.folder / "failure.json")
        except OSError:
            return None
        kind: type[SearchBackError] = getattr(errors, told["kind"], SearchBackError)
        error = kind.__new__(kind)  # whose own arguments are not known here
        SearchBackError.__init__(error, told["what"], value=told["value"], remedy=told["remedy"])
        return error

    def _path(self, pid: int) -> Path:
        return self.folder / f"worker-{pid}.json"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
