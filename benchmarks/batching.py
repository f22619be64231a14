"""Does encoding concurrent texts together beat one at a time, and what does a lone one pay?

::

    python benchmarks/batching.py > batching.json
    python benchmarks/batching.py --clip-model ViT-B/32 --clients 32 --texts 8

In every round, in turn: ``direct``, ``--clients`` threads that call the encoder as they please;
``one_at_a_time``, the same under a lock; ``batching``, the same through ``BatchingEncoder`` as the
server sets it up. Every client asks for ``--texts`` texts, one after the other, no text twice. The
ratios are medians over the rounds of texts/s, ``batching`` to the other. Then one client alone,
with and without batching, call by call in turn. ``cpu_ms_a_text`` is what the process worked, which
other programs on the machine disturb least. JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from search_back.encoders import load_encoder
from search_back.encoders.batching import MAX_QUEUED, TEXT_ROWS, BatchingEncoder
from search_back.interfaces import Encoder
from search_back.models import MODEL_NAME
from search_back.types import FloatArray, Modality

WORDS = ("red", "apple", "small", "cat", "green", "leaves", "old", "house", "water", "flag")
Encode = Callable[[list[str]], FloatArray]


class Rows:
    """How many rows each run of a tower took."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def batch(self, kind: Modality, rows: int) -> None:
        self.seen.append(rows)

    def waited(self, kind: Modality, seconds: float) -> None: ...

    def cache(self, kind: Modality, *, hit: bool) -> None: ...


def texts(seed: int) -> Iterator[str]:
    """Two to eight words and a number each, never the same text twice."""
    random = np.random.default_rng(seed)
    number = 0
    while True:
        words = random.choice(WORDS, random.integers(2, 9))
        yield f"{' '.join(words)} {number}"
        number += 1


def one_at_a_time(encoder: Encoder) -> Encode:
    lock = threading.Lock()

    def encode(texts: list[str]) -> FloatArray:
        with lock:
            return encoder.encode_texts(texts)

    return encode


def run_clients(encode: Encode, shares: list[list[str]]) -> dict[str, float]:
    """Every client asks for its share: texts/s, and what a text took."""
    latencies: list[list[float]] = [[] for _ in shares]
    start = threading.Barrier(len(shares) + 1)

    def client(number: int) -> None:
        start.wait()
        for text in shares[number]:
            began = time.perf_counter()
            encode([text])
            latencies[number].append(time.perf_counter() - began)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(len(shares))]
    for thread in threads:
        thread.start()
    start.wait()
    began, worked = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    took, worked = time.perf_counter() - began, time.process_time() - worked
    every = [second for client in latencies for second in client]
    return {
        "texts_per_s": len(every) / took,
        "cpu_ms_a_text": 1000 * worked / len(every),
        "p50_ms": 1000 * float(np.percentile(every, 50)),
        "p95_ms": 1000 * float(np.percentile(every, 95)),
    }


def run_alone(ways: dict[str, Encode], calls: int, source: Iterator[str]) -> dict[str, float]:
    """Median milliseconds of a call while no other is under way."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(calls):
        for name, encode in ways.items():
            text = next(source)
            began = time.perf_counter()
            encode([text])
            taken[name].append(time.perf_counter() - began)
    return {name: round(1000 * statistics.median(values), 3) for name, values in taken.items()}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(r[key] for r in rounds), 2) for key in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip-model", default=MODEL_NAME)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--texts", type=int, default=8, help="of each client in each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="as the server's --encoder-threads")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--rows", type=int, default=TEXT_ROWS, help="most texts of a batch")
    parser.add_argument("--lone-calls", type=int, default=50)
    options = parser.parse_args()

    encoder = load_encoder(options.clip_model, threads=options.threads)
    rows = Rows()
    batching = BatchingEncoder(
        encoder,
        slots=options.slots,
        text_rows=options.rows,
        max_queued=max(MAX_QUEUED, options.clients),
        observer=rows,
    )
    ways: dict[str, Encode] = {
        "direct": encoder.encode_texts,
        "one_at_a_time": one_at_a_time(encoder),
        "batching": batching.encode_texts,
    }
    source = texts(0)
    for encode in ways.values():
        encode([next(source)])
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, encode in ways.items():
            shares = [[next(source) for _ in range(options.texts)] for _ in range(options.clients)]
            rounds[name].append(run_clients(encode, shares))
    ratios = {
        f"to_{name}": [
            ours["texts_per_s"] / theirs["texts_per_s"]
            for ours, theirs in zip(rounds["batching"], rounds[name], strict=True)
        ]
        for name in ("direct", "one_at_a_time")
    }
    mean_rows = statistics.mean(rows.seen[1:])
    lone = run_alone({k: ways[k] for k in ("direct", "batching")}, options.lone_calls, source)
    result: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("numpy", "onnxruntime")},
        "encoder": {"name": options.clip_model, "runtime": str(encoder.runtime)},
        "settings": {
            **{k: getattr(options, k) for k in ("clients", "texts", "rounds", "threads", "slots")},
            "most_texts": options.rows,
        },
        "ways": {name: medians(values) for name, values in rounds.items()},
        "ratio": {
            name: {
                "median": round(statistics.median(values), 2),
                "min": round(min(values), 2),
                "max": round(max(values), 2),
            }
            for name, values in ratios.items()
        },
        "mean_batch_rows": round(mean_rows, 1),
        "lone_ms": lone,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
