"""How often somebody may ask: a token bucket for each, over all processes of a server.

GCRA, the generic cell rate algorithm (ITU-T I.371), which keeps a bucket in one number: the time
at which it will be full again.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from search_back.config import Rate

# 8 MiB, of which only what is used takes memory. Two of 1,000 who ask at once share a bucket with
# a chance of 1 in 1,000 each; sharing makes them wait sooner, never later.
SLOTS: Final = 2**20
_BYTES: Final = 8
# Beyond what adding seconds rounds off, below what anybody notices.
_ROUNDING_S: Final = 1e-6


def next_full(full_at: float, now: float, rate: Rate, cost: float) -> tuple[float, float]:
    """When a bucket will be full again, and how many seconds too early a request comes.

    ``full_at``: before the request; ``cost``: how much it takes out, in requests. A request that
    comes too early, by more than 0 s, takes nothing.
    """
    then = max(full_at, now) + cost * rate.per_s / rate.count
    early = then - rate.per_s - now
    return (full_at, early) if early > _ROUNDING_S else (then, 0.0)


class RateTable:
    """A bucket for each name, in a table of float64 that all processes map. Thread-safe.

    ``path``: a file that :meth:`create` made, for several processes; None: a table of this process
    alone. ``secret``: the same in all processes; without it nobody can choose names that fall
    together. A process that dies leaves no lock behind, since the kernel takes it back. Times are
    of ``time.monotonic()``, which all processes of a machine share.
    """

    def __init__(self, secret: bytes, path: Path | None = None) -> None:
        self._secret = hashlib.sha256(b"rates\n" + secret).digest()
        self._lock = threading.Lock()
        self._file = None if path is None else open(path, "r+b", buffering=0)  # noqa: SIM115
        size = SLOTS * _BYTES
        self._map = mmap.mmap(-1 if self._file is None else self._file.fileno(), size)
        self._full_at: Any = memoryview(self._map).cast("d")

    @staticmethod
    def create(path: Path) -> Path:
        """An empty table of full buckets."""
        with open(path, "xb") as file:
            file.truncate(SLOTS * _BYTES)
        return path

    def admit(self, name: str, rate: Rate, *, cost: float = 1.0, now: float | None = None) -> float:
        """Count a request, or say in how many seconds it may come again: above 0, not counted."""
        slot = self._slot(name)
        with self._lock, nullcontext() if self._file is None else self._alone(slot):
            moment = time.monotonic() if now is None else now
            then, early = next_full(self._full_at[slot], moment, rate, cost)
            if not early:
                self._full_at[slot] = then
        return early

    def close(self) -> None:
        self._full_at.release()
        self._map.close()
        if self._file is not None:
            self._file.close()

    def _slot(self, name: str) -> int:
        told = name.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(told, digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "little") % SLOTS

    @contextmanager
    def _alone(self, slot: int) -> Iterator[None]:
        """Hold the slot against the other processes."""
        import fcntl

        assert self._file is not None
        fcntl.lockf(self._file, fcntl.LOCK_EX, _BYTES, slot * _BYTES)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _BYTES, slot * _BYTES)
