"""Metrics that several processes keep together, in a folder of files that each may read.

A process has files of its own, named after its seat: a number that no other running process has.
Whoever is asked reads them all and adds up. When a process dies its files stay, and the one that
takes its seat goes on counting from what they hold: counters never fall, and there are never more
files than seats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import multiprocess, values
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

# All that the metrics of a server take, many times over: their labels are few by nature.
_FILE_BYTES: Final = 1 << 20
_KINDS: Final = ("counter", "histogram", "gauge_livesum", "gauge_livemin", "gauge_livemax")
_merge: Callable[[list[str]], Iterable[Metric]] = multiprocess.MultiProcessCollector.merge


@dataclass(frozen=True, slots=True)
class Shared(Collector):
    """``folder``: empty when the first process starts; ``seat``: of this process."""

    folder: Path
    seat: int

    def take_seat(self) -> None:
        """Have the metrics that this process makes from now on lie in the folder.

        prometheus_client decides that when it is imported, by a variable of the environment. Here
        it has been imported by then, in the parent of the processes, so the class that holds a
        value is replaced where the metrics look for it.
        """
        for kind in _KINDS:
            _allocate(self.folder / f"{kind}_{self.seat}.db")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder)
        values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
            lambda: self.seat
        )

    def collect(self) -> Iterable[Metric]:
        """The metrics of all processes, added up."""
        files = []
        for path in self.folder.glob("*.db"):
            # One may go while this looks, and one that has just been made is empty.
            with suppress(FileNotFoundError):
                if path.stat().st_size:
                    files.append(str(path))
        return _merge(files)


def _allocate(path: Path) -> None:
    """Have the room of a file set aside, or raise ``OSError`` where there is none.

    The files are mapped: a value that the disk has no room for would end the process.
    """
    with open(path, "ab") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)


def leave_seat(folder: Path, seat: int) -> None:
    """Forget the gauges of a process that has ended; what it counted stays."""
    multiprocess.mark_process_dead(seat, str(folder))  # type: ignore[no-untyped-call]
