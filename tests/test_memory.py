"""Heaps of threads: shared, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Each thread keeps a block of its own, so that it needs a heap, and tells nothing else.
HEAPS = """
import ctypes, os, threading
from search_back.memory import share_arenas
share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
gate = threading.Barrier(24)
def keep():
    gate.wait()
    libc.malloc(1000)
    gate.wait()
threads = [threading.Thread(target=keep) for _ in range(24)]
[t.start() for t in threads]
[t.join() for t in threads]
read, write = os.pipe()
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(write, b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
told = b""
while chunk := os.read(read, 65536):
    told += chunk
print(told.count(b"<heap nr="))
"""


def heaps(**environment: str) -> int:
    kept = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    ran = subprocess.run(
        [sys.executable, "-c", HEAPS], env=kept | environment, capture_output=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_threads_share_heaps() -> None:
    cores = os.cpu_count() or 1
    assert 1 < heaps() <= max(2, cores)
    assert heaps(MALLOC_ARENA_MAX="1") == 1
