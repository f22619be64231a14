"""Prometheus metrics: requests, the steps of a query, encoders, indices, processes.

::

    steps       the steps of a query, and a table of what they cost
    shared      metrics that several processes keep together
    watched     what is read now and then: sizes, states, processor time
    processes   memory and descriptors of each process, versions
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)

from search_back.errors import SearchBackError
from search_back.interfaces import CacheObserver, StepTimer
from search_back.metrics.processes import PARENT, BuildInfo, Processes
from search_back.metrics.shared import Shared, leave_seat
from search_back.metrics.steps import STEPS, WHOLE, summary
from search_back.metrics.watched import IndexState, Watched, WithoutGone
from search_back.types import MODALITIES, Modality

__all__ = [
    "BUCKETS",
    "PARENT",
    "STEPS",
    "WHOLE",
    "IndexState",
    "Metrics",
    "Shared",
    "known_method",
    "leave_seat",
]

BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REFUSALS: Final = ("overloaded", "too_slow", "bad_request")


def known_method(method: str) -> str:
    """The method of a request, or ``other``: a label must not take what strangers send."""
    return method if method in METHODS else "other"


class Metrics:
    """The metrics of one server; an ``EncoderObserver``. Thread-safe.

    ``shared``: where the processes of a server keep them together; by default they are this
    process's own, and two servers in a process do not mix. ``pids``: the processes that there are,
    by the name that they are told under.
    """

    def __init__(
        self,
        shared: Shared | None = None,
        *,
        pids: Callable[[], Mapping[str, int]] = lambda: {"1": os.getpid()},
    ) -> None:
        if shared is not None:
            shared.take_seat()
        own = CollectorRegistry()
        self._told = CollectorRegistry()
        for collector in (WithoutGone(shared or own), Processes(pids), BuildInfo()):
            self._told.register(collector)
        counter = partial(Counter, registry=own)
        histogram = partial(Histogram, registry=own, buckets=BUCKETS)
        self.watched = Watched(own)
        self._span: StepTimer | None = None
        self._steps = {step: histogram(step, text) for step, text in STEPS.items()}
        self._requests = counter(
            "search_back_requests",
            "Requests answered, by the pattern of their path",
            ["route", "method", "status"],
        )
        self._seconds = histogram(
            "search_back_request_seconds",
            "Seconds from a request's arrival until its answer is ready to be sent",
            ["route"],
        )
        self._waits = histogram(
            "search_back_request_wait_seconds", "Seconds a request waited for a thread"
        )
        self._refused = counter(
            "search_back_requests_refused", "Requests that no thread took up", ["reason"]
        )
        self._errors = counter(
            "search_back_errors", "Errors answered, by the code of the error", ["code"]
        )
        self._downloads = counter(
            "search_back_downloads",
            "Addresses of pictures fetched for queries: ok, or the code of the error",
            ["outcome"],
        )
        self._reloads = counter(
            "search_back_index_reloads",
            "Times that a process reloaded an index: ok or failed",
            ["index", "outcome"],
        )
        batches = histogram(
            "search_back_encoder_batch_rows",
            "Texts or pictures that went through a tower together",
            ["tower"],
            buckets=BATCH_BUCKETS,
        )
        queued = histogram(
            "search_back_encoder_queue_seconds",
            "Seconds a call waited for a tower; 0 where it was free",
            ["tower"],
        )
        cache = counter(
            "search_back_query_cache",
            "Queries looked up in the cache of embeddings",
            ["tower", "result"],
        )
        look_ups = counter(
            "search_back_cache_lookups",
            "What was looked up in the caches of an index: masks of filters, results, thumbnails",
            ["cache", "result"],
        )
        # Those that are few by nature are told from the start, so that their first is a rise.
        self._batches = {kind: batches.labels(kind) for kind in MODALITIES}
        self._queued = {kind: queued.labels(kind) for kind in MODALITIES}
        self._cache = {
            (kind, hit): cache.labels(kind, "hit" if hit else "miss")
            for kind in MODALITIES
            for hit in (True, False)
        }
        self.look_up: Mapping[str, CacheObserver] = {
            name: _LookUps(look_ups.labels(name, "hit"), look_ups.labels(name, "miss"))
            for name in ("masks", "results", "thumbnails")
        }
        for reason in REFUSALS:
            self._refused.labels(reason)
        self._downloads.labels("ok")

    def timer(self, step: str) -> AbstractContextManager[object]:
        """Times a block as one of ``STEPS``, also where it raises: a ``StepTimer``."""
        if step not in self._steps:
            raise ValueError(f"step {step!r} is not one of {', '.join(self._steps)}")
        timed = self._steps[step].time()
        return timed if self._span is None else _nested(self._span(step), timed)

    def trace_steps(self, span: StepTimer) -> None:
        """Have every step that is timed be a span of a trace too."""
        self._span = span

    def count_request(self, route: str, *, method: str, status: int, seconds: float) -> None:
        """Count an answer; ``route``: the pattern of its path, one of few."""
        self._requests.labels(route, known_method(method), str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def waited_for_thread(self, seconds: float) -> None:
        """Count what a request waited from its arrival until a thread took it up."""
        self._waits.observe(seconds)

    def count_refusal(self, reason: str) -> None:
        """Count a request that no thread took up; ``reason``: one of few."""
        self._refused.labels(reason).inc()

    def count_error(self, code: str) -> None:
        """Count an answer that was an error; ``code``: of a ``SearchBackError``, so one of few."""
        self._errors.labels(code).inc()

    @contextmanager
    def download(self) -> Iterator[None]:
        """Times a block that fetches a picture, and counts how it ends."""
        with self.timer("download_time"):
            try:
                yield
            except SearchBackError as error:
                self._downloads.labels(error.code).inc()
                raise
            self._downloads.labels("ok").inc()

    def expect_reloads(self, index: str) -> None:
        """Tell of an index's reloads before the first: else nobody would see that one as a rise."""
        for outcome in ("ok", "failed"):
            self._reloads.labels(index, outcome)

    def count_reload(self, index: str, *, failed: bool) -> None:
        """Count that an index was reloaded, or could not be."""
        self._reloads.labels(index, "failed" if failed else "ok").inc()

    def batch(self, kind: Modality, rows: int) -> None:
        """Count a run of a tower."""
        self._batches[kind].observe(rows)

    def waited(self, kind: Modality, seconds: float) -> None:
        """Count a call's wait for a tower."""
        self._queued[kind].observe(seconds)

    def cache(self, kind: Modality, *, hit: bool) -> None:
        """Count a look into the cache of query embeddings."""
        self._cache[kind, hit].inc()

    def exposition(self) -> tuple[bytes, str]:
        """The body and content type of ``/metrics``."""
        self.watched.refresh()
        return generate_latest(self._told), CONTENT_TYPE_LATEST

    def summary(self) -> str:
        """The text of ``/metrics-summary``: what the requests cost, step by step."""
        values = {
            sample.name: sample.value
            for family in self._told.collect()
            if family.name in STEPS
            for sample in family.samples
        }
        costs = {
            step: (int(values.get(f"{step}_count", 0)), float(values.get(f"{step}_sum", 0.0)))
            for step in STEPS
        }
        return summary(costs)


class _LookUps:
    """Counts what is looked up in a cache: a ``CacheObserver``."""

    def __init__(self, hits: Counter, misses: Counter) -> None:
        self._hits = hits
        self._misses = misses

    def __call__(self, *, hit: bool) -> None:
        (self._hits if hit else self._misses).inc()


@contextmanager
def _nested(
    outer: AbstractContextManager[object], inner: AbstractContextManager[object]
) -> Iterator[None]:
    with outer, inner:
        yield
