"""Long work on a target: by one process at a time, kept in a hidden folder until it is done."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from search_back.errors import SearchBackError
from search_back.files import recover


def work_folder(target: Path) -> Path:
    """Where unfinished work on a target keeps what it has done; for whoever holds the target."""
    return target.with_name(f".{target.name}.work")


@contextmanager
def holding(target: Path, *, otherwise: SearchBackError) -> Generator[None, None, None]:
    """Nobody else works on a target meanwhile; raises ``otherwise`` where somebody does.

    Makes the folder that the target is to lie in. The lock ends with the process, however it ends.
    What a killed one left of a publication is tidied up.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise otherwise from None
    try:
        recover(target)
        yield
    finally:
        # Removed while it is held: whoever waits for it then makes a new one.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
