"""What do large results, filters and further pages cost in the engine?

::

    python benchmarks/results.py --rows 1000000 > results.json
    python benchmarks/results.py --folder /tmp/world       # as benchmarks/engine.py leaves it

Synthetic pictures, an index of the default kind, metadata in HDF5, one thread, warm, fresh queries
in every run. ``large``: 100,000 results with ids, similarities and three columns as Arrow, beside
the same search by faiss itself and the same rows by the metadata store alone. ``filters``: 40
results among the rows that pass, beside no filter; ``recall``: of what exact search finds among
them. ``pages``: the first page of 40, the next ones, and the same results asked for at once.
Milliseconds of the thread's CPU time, which other programs disturb least: median of the rounds.
JSON on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from encoders import say
from vectors import write_folder

from search_back.config import IndexOptions
from search_back.index.build import BuildSettings, build
from search_back.index.parameters import call_parameters
from search_back.search import SearchEngine
from search_back.search.filters import parse, passing
from search_back.services import open_snapshot
from search_back.types import EmbeddingTerm, Query

LARGE = 100_000
COLUMNS = ("url", "caption", "number")
SHARES = {"0.1 %": 0.001, "1 %": 0.01, "10 %": 0.1, "50 %": 0.5}


def milliseconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.thread_time()
    found = run()
    return (time.thread_time() - start) * 1e3, found


def medians(runs: dict[str, Callable[[Any], Any]], queries: Any) -> dict[str, float]:
    """Each of ``runs`` on each query, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for query in queries:
        for name, run in runs.items():
            times[name].append(milliseconds(lambda run=run, query=query: run(query))[0])
    return {name: round(statistics.median(found), 3) for name, found in times.items()}


def asked(vector: Any, **changes: Any) -> Query:
    return replace(Query((EmbeddingTerm(vector),), k=40, columns=COLUMNS), **changes)


def large(engine: SearchEngine, snapshot: Any, queries: Any) -> dict[str, Any]:
    index = snapshot.indices["image"]
    raw = faiss.downcast_index(index.raw)
    parameters = call_parameters(raw, LARGE, index.plan.at(LARGE), breadth=LARGE)
    ids = {id(q): engine.search(asked(q, k=LARGE, columns=())).ids for q in queries}
    found = medians(
        {
            "engine": lambda q: engine.search(asked(q, k=LARGE)),
            "faiss": lambda q: raw.search(q[None], LARGE, params=parameters),
            "columns": lambda q: snapshot.metadata.take(ids[id(q)], list(COLUMNS)),
        },
        queries,
    )
    found["ratio"] = round(found["engine"] / (found["faiss"] + found["columns"]), 3)
    return found


def filters(engine: SearchEngine, snapshot: Any, queries: Any) -> dict[str, Any]:
    rows = len(snapshot.metadata)
    index = snapshot.indices["image"]
    texts = {name: f"number < {round(rows * share)}" for name, share in SHARES.items()}
    for text in texts.values():
        engine.search(asked(queries[0], filter=text))  # the mask is worked out once
    runs: dict[str, Callable[[Any], Any]] = {"none": lambda q: engine.search(asked(q))}
    for name, text in texts.items():
        runs[name] = lambda q, text=text: engine.search(asked(q, filter=text))
    times = medians(runs, queries)
    result: dict[str, Any] = {"none": {"ms": times["none"]}}
    for name, text in texts.items():
        mask = passing(parse(text, snapshot.metadata.schema), snapshot.metadata)
        shares = []
        for query in queries[:10]:
            similarities = index.reconstruct(mask.ids) @ query
            truth = mask.ids[np.argsort(-similarities)[:10]]
            shares.append(np.isin(truth, engine.search(asked(query, filter=text)).ids).mean())
        result[name] = {
            "ms": times[name],
            "ratio": round(times[name] / times["none"], 3),
            "recall_at_10": round(float(np.mean(shares)), 4),
        }
    return result


def pages(engine: SearchEngine, queries: Any) -> dict[str, float]:
    first, following, at_once = [], [], []
    for query in queries:
        took, page = milliseconds(lambda query=query: engine.search(asked(query, fill=True)))
        first.append(took)
        for _ in range(3):
            cursor = page.next
            took, page = milliseconds(
                lambda query=query, cursor=cursor: engine.search(asked(query, cursor=cursor))
            )
            following.append(took)
        at_once.append(milliseconds(lambda query=query: engine.search(asked(query, k=160)))[0])
    named = {"first": first, "next": following, "four_at_once": at_once}
    return {name: round(statistics.median(times), 3) for name, times in named.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "embeddings").is_dir():
            say("vectors")
            write_folder(folder / "embeddings", options.rows)
        if not (folder / "index/index.json").is_file():
            say("index")
            build(
                BuildSettings(
                    folder / "embeddings", folder / "index", max_index_memory_usage=options.memory
                )
            )
        say("opening")
        snapshot = open_snapshot(
            "world", IndexOptions(folder / "index", enable_hdf5=True, columns_to_return=COLUMNS)
        )
        engine = SearchEngine(
            lambda: snapshot,
            lambda: None,
            lambda step: nullcontext(),  # type: ignore[arg-type,return-value]
        )
        queries = np.load(folder / "embeddings/queries.npz")["image"][: options.rounds]
        queries = list(np.ascontiguousarray(queries))
        engine.search(asked(queries[0], k=LARGE))
        result: dict[str, Any] = {
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "load": os.getloadavg()[0],
                "python": platform.python_version(),
            },
            "versions": {name: version(name) for name in ("faiss-cpu", "numpy", "pyarrow")},
            "index": snapshot.indices["image"].kind,
            "rows": len(snapshot.metadata),
        }
        for name, measure in (
            ("large", lambda: large(engine, snapshot, queries)),
            ("filters", lambda: filters(engine, snapshot, queries)),
            ("pages", lambda: pages(engine, queries)),
        ):
            say(name)
            result[name] = measure()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
