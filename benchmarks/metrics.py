"""What do the metrics cost a request, in one process and where several share them?

::

    python benchmarks/metrics.py > metrics.json

Microseconds of processor time, of the best of some rounds and of the median one. ``request``: all
that one query of words counts and times (five steps, a batch, a wait, a look into the cache, its
route); ``count`` and ``time``: one of either. ``exposition_ms``: milliseconds of ``/metrics``, with
the files of ``--seats`` processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from search_back.metrics import Metrics, Shared

ROUNDS = 15
CALLS = 2000
STEPS = ("text_prepro_time", "text_clip_inference_time", "knn_index_time", "metadata_get_time")


def request(metrics: Metrics) -> None:
    metrics.waited_for_thread(0.0001)
    with metrics.timer("full_knn_request_time"):
        metrics.cache("text", hit=False)
        metrics.waited("text", 0.0)
        metrics.batch("text", 1)
        for step in STEPS:
            with metrics.timer(step):
                pass
    metrics.count_request("/knn-service", method="POST", status=200, seconds=0.01)


def time_one(metrics: Metrics) -> None:
    with metrics.timer("knn_index_time"):
        pass


def measure(metrics: Metrics) -> dict[str, Any]:
    results: dict[str, Any] = {
        name: rounds(lambda call=call: call(metrics), calls=CALLS, unit=1e6)
        for name, call in {
            "request": request,
            "count": lambda m: m.count_error("unknown_index"),
            "time": time_one,
        }.items()
    }
    results["exposition_ms"] = rounds(metrics.exposition, calls=3, unit=1e3)
    return results


def rounds(call: Callable[[], object], *, calls: int, unit: float) -> dict[str, float]:
    spent = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(calls):
            call()
        spent.append((time.thread_time() - began) / calls * unit)
    return {"best": round(min(spent), 3), "median": round(statistics.median(spent), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seats", type=int, default=4)
    parser.add_argument("--fill", type=Path, help="only take this seat of a folder, and end")
    options = parser.parse_args()
    if options.fill is not None:
        request(Metrics(Shared(options.fill, options.seats)))
        return
    results: dict[str, Any] = {"one_process": measure(Metrics())}
    with tempfile.TemporaryDirectory() as folder:
        for seat in range(2, options.seats + 1):
            again = [sys.executable, __file__, "--fill", folder, "--seats", str(seat)]
            subprocess.run(again, check=True)
        results["shared"] = measure(Metrics(Shared(Path(folder), 1)))
    results["about"] = {
        "seats": options.seats,
        "python": platform.python_version(),
        "prometheus_client": metadata.version("prometheus-client"),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    json.dump(results, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
