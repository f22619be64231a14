"""Prometheus metrics: what the steps of a query take, the encoders' batches, errors answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from search_back.types import MODALITIES, Modality

WHOLE: Final = "full_knn_request_time"

# The names are those that dashboards of clip-retrieval query.
STEPS: Final[dict[str, str]] = {
    WHOLE: "Seconds for a full knn request, from the body read to the answer written",
    "download_time": "Seconds for the download of a picture from an address",
    "text_clip_inference_time": "Seconds for the text clip inference: tokens to embedding",
    "image_clip_inference_time": "Seconds for the image clip inference: pixels to embedding",
    "metadata_get_time": "Seconds for the metadata get: the rows of the hits",
    "knn_index_time": "Seconds for the knn index: the nearest neighbours of the embedding",
    "dedup_time": "Seconds for the dedup of near-duplicate hits",
    "safety_time": "Seconds for the safety models",
    "image_prepro_time": "Seconds for the image prepro: decoding, resizing, normalising",
    "text_prepro_time": "Seconds for the text prepro: tokenizing",
}

BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server, in a registry of their own; an ``EncoderObserver``. Thread-safe.

    ``registry``: where the metrics are kept; by default a new one that also tells the memory,
    file descriptors and CPU time of the process.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry if registry is not None else _process_registry()
        self._steps = {
            step: Histogram(step, text, registry=self._registry, buckets=BUCKETS)
            for step, text in STEPS.items()
        }
        self._errors = Counter(
            "search_back_errors",
            "Errors answered, by the code of the error",
            ["code"],
            registry=self._registry,
        )
        batches = Histogram(
            "search_back_encoder_batch_rows",
            "Texts or pictures that went through a tower together",
            ["tower"],
            registry=self._registry,
            buckets=BATCH_BUCKETS,
        )
        queued = Histogram(
            "search_back_encoder_queue_seconds",
            "Seconds a call waited for a tower; 0 where it was free",
            ["tower"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        cache = Counter(
            "search_back_query_cache",
            "Queries looked up in the cache of embeddings",
            ["tower", "result"],
            registry=self._registry,
        )
        self._batches = {kind: batches.labels(kind) for kind in MODALITIES}
        self._queued = {kind: queued.labels(kind) for kind in MODALITIES}
        self._cache = {
            (kind, hit): cache.labels(kind, "hit" if hit else "miss")
            for kind in MODALITIES
            for hit in (True, False)
        }
        self._loaded = Gauge(
            "search_back_encoders_loaded", "Encoders in memory", registry=self._registry
        )
        self._remembered = Gauge(
            "search_back_query_cache_entries",
            "Queries whose embeddings are in the cache",
            registry=self._registry,
        )

    def timer(self, step: str) -> AbstractContextManager[object]:
        """Times a block as one of ``STEPS``, also where it raises: a ``StepTimer``."""
        if step not in self._steps:
            raise ValueError(f"step {step!r} is not one of {', '.join(self._steps)}")
        return self._steps[step].time()

    def count_error(self, code: str) -> None:
        """Count an answer that was an error; ``code``: of a ``SearchBackError``, so one of few."""
        self._errors.labels(code).inc()

    def batch(self, kind: Modality, rows: int) -> None:
        """Count a run of a tower."""
        self._batches[kind].observe(rows)

    def waited(self, kind: Modality, seconds: float) -> None:
        """Count a call's wait for a tower."""
        self._queued[kind].observe(seconds)

    def cache(self, kind: Modality, *, hit: bool) -> None:
        """Count a look into the cache of query embeddings."""
        self._cache[kind, hit].inc()

    def watch_encoders(self, *, loaded: Callable[[], int], remembered: Callable[[], int]) -> None:
        """Where to read how many encoders are in memory, and how many queries in the cache."""
        self._loaded.set_function(loaded)
        self._remembered.set_function(remembered)

    def exposition(self) -> tuple[bytes, str]:
        """The body and content type of ``/metrics``."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def summary(self) -> str:
        """The text of ``/metrics-summary``: what the requests cost, step by step."""
        costs = self._costs()
        calls, total = costs[WHOLE]
        width = max(map(len, STEPS))
        lines = [
            f"{calls} calls to /knn-service, {_average(calls, total):.6f} s on average. "
            "What their steps cost, the dearest first:",
            "",
            f"{'name':<{width}}  {'calls':>9}  {'average':>12}  {'share':>7}  description",
        ]
        for step in sorted(STEPS, key=lambda step: -costs[step][1]):
            step_calls, step_total = costs[step]
            average = f"{_average(step_calls, step_total):.6f} s"
            share = f"{step_total / total if total else 0.0:.1%}"
            lines.append(
                f"{step:<{width}}  {step_calls:>9}  {average:>12}  {share:>7}  {STEPS[step]}"
            )
        return "\n".join(lines) + "\n"

    def _costs(self) -> dict[str, tuple[int, float]]:
        """Calls and total seconds of each step, as the registry collects them."""
        values = {
            sample.name: sample.value
            for family in self._registry.collect()
            if family.name in STEPS
            for sample in family.samples
        }
        return {
            step: (int(values.get(f"{step}_count", 0)), float(values.get(f"{step}_sum", 0.0)))
            for step in STEPS
        }


def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _average(calls: int, total: float) -> float:
    return total / calls if calls else 0.0
