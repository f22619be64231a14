"""What does ranking a list of candidates cost: duplicates, diversity, groups?

::

    python benchmarks/ranking.py > ranking.json

One thread, 512-d float32 rows. Deduplication of 1,000 and 10,000 rows (and ``--most`` of them)
that are all duplicates of one, half of them, in groups of ten, all different in all directions, or
all different as the nearest pictures of a query are: around many centres and in one cone. Beside
it, interleaved in the same run, the physical limit of comparing all pairs: the products of the
upper triangle alone, in blocks, without looking at them. JSON on stdout: milliseconds of the thread
(``cpu_ms``: median, least) and of the clock.
"""

from __future__ import annotations

import os

# Before numpy reads them.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from search_back.search.dedup import by_value, first_of_each
from search_back.search.diversity import mmr
from search_back.search.grouping import group
from search_back.types import FloatArray
from search_back.vectors import normalise

SEED = 0
DIMENSION = 512
BLOCK = 1024
DUPLICATE = 0.15  # noise beside a row of length 1: cosine 0.978 between two copies


def different(rng: np.random.Generator, n: int) -> FloatArray:
    """The ``n`` of ten times as many rows that are nearest to a query.

    A row is a direction that all pictures share, a meaning (a few dozen dimensions, around
    centres of which some are frequent), and what is its own; a query shares little of the first.
    """
    centres, meaning = 2000, 48
    often = 1 / np.arange(1, centres + 1) ** 0.7
    into = rng.standard_normal((meaning, DIMENSION), dtype=np.float32)
    centre = rng.standard_normal((centres, meaning), dtype=np.float32)
    shared = normalise(rng.standard_normal((1, DIMENSION)))
    own = np.arange(1, DIMENSION + 1, dtype=np.float32) ** -0.3
    rows = np.empty((10 * n, DIMENSION), dtype=np.float32)
    for start in range(0, len(rows), 10_000):
        m = min(10_000, len(rows) - start)
        drawn = rng.choice(centres, m, p=often / often.sum())
        code = centre[drawn] + 0.7 * rng.standard_normal((m, meaning), dtype=np.float32)
        noise = normalise(own * rng.standard_normal((m, DIMENSION), dtype=np.float32))
        rows[start : start + m] = normalise(
            0.75 * shared + 0.6 * normalise(code @ into) + 0.4 * noise
        )
    query = normalise(0.3 * shared + normalise(centre[:1] @ into))[0]
    return np.ascontiguousarray(rows[np.argsort(-(rows @ query))[:n]])


def sets(n: int) -> dict[str, FloatArray]:
    rng = np.random.default_rng(SEED)
    isotropic = normalise(rng.standard_normal((n, DIMENSION), dtype=np.float32))
    rows = different(rng, n)
    noise = DUPLICATE * isotropic[rng.permutation(n)]
    half = normalise(rows[:1] + noise)
    half[::2] = rows[::2]
    return {
        "all duplicates": normalise(rows[:1] + noise),
        "half duplicates": half,
        "groups of ten": normalise(rows[rng.permutation(n) % (n // 10)] + noise),
        "all different, isotropic": isotropic,
        "all different, clustered": rows,
    }


def triangle(rows: FloatArray) -> None:
    """The inner products of all pairs, thrown away."""
    out = np.empty((BLOCK, BLOCK), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        for other in range(start, len(rows), BLOCK):
            a, b = rows[start : start + BLOCK], rows[other : other + BLOCK]
            np.matmul(a, b.T, out=out[: len(a), : len(b)])


def measure(repeat: int, **works: Callable[[], object]) -> dict[str, dict[str, float]]:
    """Interleaved runs, after one of each that does not count."""
    clock: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    for run in range(repeat + 1):
        for name, work in works.items():
            began, busy = time.perf_counter(), time.thread_time()
            work()
            if run:
                clock[name].append((time.perf_counter() - began) * 1e3)
                cpu[name].append((time.thread_time() - busy) * 1e3)
    return {
        name: {
            "cpu_ms": round(statistics.median(cpu[name]), 3),
            "cpu_least_ms": round(min(cpu[name]), 3),
            "clock_ms": round(statistics.median(clock[name]), 3),
        }
        for name in works
    }


def deduplication(n: int, repeat: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, rows in sets(n).items():
        times = measure(
            repeat, dedup=lambda r=rows: first_of_each(r), triangle=lambda r=rows: triangle(r)
        )
        result[name] = {
            **times["dedup"],
            "kept": len(first_of_each(rows)),
            "all_pairs": times["triangle"],
            "of_all_pairs": round(times["dedup"]["cpu_ms"] / times["triangle"]["cpu_ms"], 3),
        }
    return result


def orders(repeat: int) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    rows = different(rng, 10_000)
    similarities = np.linspace(0.9, 0.5, len(rows), dtype=np.float32)
    hosts = pa.array(f"host{host}.example.org" for host in rng.zipf(1.3, len(rows)) % 5000)
    works: dict[str, Callable[[], object]] = {
        "mmr, 40 of 1,000": lambda: mmr(similarities, rows, diversity=0.3, k=40, limit=1000),
        "mmr, 100 of 1,000": lambda: mmr(similarities, rows, diversity=0.3, k=100, limit=1000),
        "mmr, 100 of 10,000": lambda: mmr(similarities, rows, diversity=0.3, k=100, limit=10_000),
        "10,000 texts, one of each": lambda: by_value(hosts),
        "10,000 texts in groups": lambda: group(hosts, per_group=3, k=20),
    }
    return measure(repeat, **works)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--most", type=int, default=0, help="deduplicate so many rows as well")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "question": "milliseconds of one thread to rank candidates",
        "dimension": DIMENSION,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "versions": {"numpy": np.__version__, "pyarrow": pa.__version__},
        "deduplication": {str(n): deduplication(n, options.repeat) for n in (1000, 10_000)},
        "orders": orders(options.repeat),
    }
    if options.most:
        rows = different(np.random.default_rng(SEED), options.most)
        tracemalloc.start()
        result["most"] = {
            "rows": options.most,
            **measure(1, dedup=lambda: first_of_each(rows))["dedup"],
            "peak_mb_beside_rows": round(tracemalloc.get_traced_memory()[1] / 2**20, 1),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
