"""What is told of the processes of a server."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

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
