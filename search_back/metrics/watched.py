"""What is read now and then instead of being counted: sizes, states, processor time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from search_back.types import MODALITIES, Modality

GONE: Final = math.nan
"""The value of a gauge that is not told: what several processes share cannot be removed."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index as it is now.

    ``up``: whether it answers; None where it waits for its first query. ``encodes``: whether it
    reads words and pictures. ``items``: by modality; ``size``: bytes of its files.
    """

    name: str
    up: bool | None
    encodes: bool = True
    items: Mapping[Modality, int] | None = None
    size: int = 0


class Watched:
    """The gauges of a server. Thread-safe.

    A process that shares its metrics refreshes them now and then, since another may be asked. How
    those of several processes become one is the last word of each: the sum, the largest, the least.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str, mode: Any) -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)

        self._loaded = gauge("search_back_encoders_loaded", "Encoders in memory", mode="livesum")
        self._remembered = gauge(
            "search_back_query_cache_entries",
            "Queries whose embeddings are in the cache",
            mode="livesum",
        )
        self._waiting = gauge(
            "search_back_requests_waiting", "Requests that wait for a thread", mode="livesum"
        )
        self._connections = gauge("search_back_connections", "Connections open", mode="livesum")
        self._up = gauge(
            "search_back_index_up",
            "Whether an index answers, in every process",
            "index",
            mode="livemin",
        )
        self._encodes = gauge(
            "search_back_index_encoder_up",
            "Whether an index can be asked by words and pictures, in every process",
            "index",
            mode="livemin",
        )
        self._items = gauge(
            "search_back_index_items",
            "Vectors of an index",
            "index",
            "modality",
            mode="livemax",
        )
        self._bytes = gauge(
            "search_back_index_bytes", "Bytes of the files of an index", "index", mode="livemax"
        )
        self._cpu = Counter(
            "process_cpu_seconds",
            "Processor time of all processes that answer, in seconds",
            registry=registry,
        )
        self._lock = threading.Lock()
        self._refreshed = 0.0
        self._cpu_told = 0.0
        self._numbers: list[tuple[Gauge, Callable[[], int]]] = []
        self._indices: Callable[[], Iterable[IndexState]] = list
        self._names: set[str] = set()

    def encoders(self, *, loaded: Callable[[], int], remembered: Callable[[], int]) -> None:
        """Where to read how many encoders are in memory, and how many queries in the cache."""
        self._numbers += [(self._loaded, loaded), (self._remembered, remembered)]

    def server(self, *, waiting: Callable[[], int], connections: Callable[[], int]) -> None:
        """Where to read how many requests wait, and how many connections are open."""
        self._numbers += [(self._waiting, waiting), (self._connections, connections)]

    def indices(self, read: Callable[[], Iterable[IndexState]]) -> None:
        """Where to read the state of the indices; one that is not among them is not told."""
        self._indices = read

    def refresh(self, *, every_s: float = 0.0) -> None:
        """Read all of it, unless that was done in the last ``every_s`` seconds."""
        now = time.monotonic()
        if now - self._refreshed < every_s:
            return
        with self._lock:
            self._refreshed = now
            for gauge, read in self._numbers:
                gauge.set(read())
            spent = time.process_time()
            self._cpu.inc(spent - self._cpu_told)
            self._cpu_told = spent
            states = {state.name: state for state in self._indices()}
            self._names |= states.keys()
            for name in self._names:
                self._tell(states.get(name) or IndexState(name, up=None))

    def _tell(self, state: IndexState) -> None:
        name = state.name
        self._up.labels(name).set(GONE if state.up is None else state.up)
        self._encodes.labels(name).set(state.encodes if state.up else GONE)
        self._bytes.labels(name).set(state.size if state.up else GONE)
        for modality in MODALITIES:
            items = (state.items or {}).get(modality, GONE)
            self._items.labels(name, modality).set(items if state.up else GONE)


class WithoutGone(Collector):
    """What another collector tells, but for the gauges that are gone."""

    def __init__(self, source: Collector) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for family in self._source.collect():
            if family.type == "gauge":
                family.samples = [s for s in family.samples if not math.isnan(s.value)]
            yield family
