"""What is told of the processes of a server."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

import search_back
from search_back.metrics import PARENT
from search_back.metrics.processes import BuildInfo, Processes

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
NOBODY = 2**22 + 1  # above any number that Linux gives a process


def values(collector: Processes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("worker", "")): sample.value
        for family in collector.collect()
        for sample in family.samples
    }


@needs_proc
def test_memory_and_descriptors_of_all_are_those_of_each() -> None:
    pids = {PARENT: os.getppid(), "1": os.getpid(), "2": os.getpid()}
    found = values(Processes(lambda: pids))
    for whole, each in (
        ("process_resident_memory_bytes", "search_back_worker_resident_memory_bytes"),
        ("process_open_fds", "search_back_worker_open_fds"),
        ("process_max_fds", "search_back_worker_max_fds"),
    ):
        assert found[whole, ""] == sum(found[each, worker] for worker in pids)
        assert found[each, "1"] > 0
    assert found["search_back_workers", ""] == 2


@needs_proc
def test_memory_of_its_own_grows_by_what_is_written_and_not_by_what_is_mapped(
    tmp_path: Path,
) -> None:
    def own() -> float:
        found = values(Processes(lambda: {"1": os.getpid()}))
        return found["search_back_worker_anonymous_memory_bytes", "1"]

    size = 64 << 20
    (tmp_path / "file").write_bytes(bytes(size))
    before = own()
    with (tmp_path / "file").open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as read:
        assert sum(read[::4096]) == 0
        assert own() - before < size / 2
    held = bytearray(size)
    held[::4096] = b"1" * (size // 4096)
    assert own() - before > size / 2


@needs_proc
def test_the_server_started_when_its_first_process_did() -> None:
    found = values(Processes(lambda: {PARENT: os.getppid(), "1": os.getpid()}))
    each = "search_back_worker_start_time_seconds"
    assert found["process_start_time_seconds", ""] == found[each, PARENT]
    assert found[each, PARENT] <= found[each, "1"]


def test_a_process_that_has_just_gone_is_left_out() -> None:
    found = values(Processes(lambda: {"1": os.getpid(), "2": NOBODY}))
    assert ("search_back_worker_resident_memory_bytes", "2") not in found


def test_build_info_says_the_versions() -> None:
    (family,) = BuildInfo().collect()
    (sample,) = family.samples
    assert sample.value == 1
    assert sample.labels == {
        "version": search_back.__version__,
        "python": platform.python_version(),
        "faiss": metadata.version("faiss-cpu"),
    }
