"""The processes of a server as the operating system sees them, and what they run."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import search_back

PARENT = "parent"
"""The name of the process that watches the others."""

_FAISS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12")
_WHOLE = {
    "process_resident_memory_bytes": "Resident memory of all processes; shared pages count in each",
    "process_virtual_memory_bytes": "Virtual memory of all processes",
    "process_open_fds": "Open file descriptors of all processes",
    "process_max_fds": "File descriptors that all processes together may open",
}
_EACH = {
    "process_resident_memory_bytes": "Resident memory of a process",
    "process_anonymous_memory_bytes": "Resident memory of a process that no file holds",
    "process_open_fds": "Open file descriptors of a process",
    "process_max_fds": "File descriptors that a process may open",
    "process_start_time_seconds": "When a process started, since the epoch",
}


class Processes(Collector):
    """Memory, descriptors and start of each process and of all; nothing where there is no /proc.

    ``pids``: by the name that the label ``worker`` gets.
    """

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterable[Metric]:
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for worker, pid in self._pids().items():
            for name, value in _facts(pid):
                found[name][worker] = value
        for name, text in _WHOLE.items():
            if name in found:
                yield GaugeMetricFamily(name, text, sum(found[name].values()))
        started = found.get("process_start_time_seconds")
        if started:
            first = min(started.values())
            yield GaugeMetricFamily(
                "process_start_time_seconds", "When the server started, since the epoch", first
            )
        for name, text in _EACH.items():
            family = GaugeMetricFamily(
                name.replace("process_", "search_back_worker_"), text, labels=["worker"]
            )
            for worker, value in found[name].items():
                family.add_metric([worker], value)
            yield family
        workers = sum(name != PARENT for name in self._pids())
        yield GaugeMetricFamily("search_back_workers", "Processes that answer requests", workers)


class BuildInfo(Collector):
    """What is running: always 1, its labels say it."""

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "search_back_build_info",
            "Versions of the server and of what it runs on",
            labels=["version", "python", "faiss"],
        )
        family.add_metric([search_back.__version__, platform.python_version(), _faiss()], 1)
        yield family


def _facts(pid: int) -> Iterable[tuple[str, float]]:
    collector = ProcessCollector(pid=lambda: pid, registry=None)
    for metric in collector.collect():
        for sample in metric.samples:
            yield sample.name, sample.value
    with suppress(OSError):  # no /proc, or the process has just gone
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                yield "process_anonymous_memory_bytes", float(line.split()[1]) * 1024


def _faiss() -> str:
    """As installed: importing it only to ask would cost half a second."""
    for name in _FAISS:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"
