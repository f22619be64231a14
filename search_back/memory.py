"""What the C library does with memory that is freed: glibc's allocator, where there is one."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Final

_M_ARENA_MAX: Final = -8  # of glibc's malloc.h


def return_memory() -> None:
    """Give memory that is not in use any more back to the system.

    glibc keeps what was freed for later use unless it is told to trim.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc, or not even a Unix
        return
    trim(0)


def share_arenas() -> None:
    """Let threads share as many heaps as there are cores, at least two; before threads start.

    glibc makes up to eight for each core, and each keeps what its threads needed at most: a server
    of sixteen threads grew for hours. ``MALLOC_ARENA_MAX`` in the environment goes first.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_ARENA_MAX, max(2, os.cpu_count() or 1))
