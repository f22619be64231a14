"""How fast does the index that is chosen answer, at what recall, beside graph indices?

::

    pip install hnswlib usearch
    python benchmarks/engine.py --rows 200000 --memory 200M > engine.json

Builds an index of synthetic pictures (`vectors.py`) as `search-back index` does, and HNSW graphs of
faiss, hnswlib and usearch of the same vectors; those that are not installed are left out. Each is
tuned to the least effort that finds 0.95 of the true ten nearest, for queries by picture and by
text, then asked one query at a time on one thread, rounds of all of them interleaved. JSON on
stdout: recall, queries a second of wall and of processor time (which other programs disturb
less), milliseconds, bytes, seconds of building; `serving`: what a process that maps our index
takes. What is in `--folder` from before is not built again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from vectors import write_folder

from search_back.files import read_json
from search_back.index import SearchPlan, open_index
from search_back.index.build import BuildSettings, build
from search_back.index.embeddings import Vectors, open_embeddings
from search_back.index.exact import Questions, exact_neighbours
from search_back.index.measure import Exam, Exams
from search_back.index.tune import tune

K, TARGET, QUERIES = 10, 0.95, 400
EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
Search = Callable[[Any, int], Any]
SERVING = """
import json, sys, time
from pathlib import Path
import numpy as np
from search_back.files import read_json
from search_back.index import SearchPlan, open_index
def private():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024
start = time.perf_counter()
folder, queries = Path(sys.argv[1]), np.load(sys.argv[2])["image"]
plan = SearchPlan.from_json(read_json(folder / "index.json")["indices"]["image"]["search"])
index = open_index(folder / "image.index", memory_mapping=True, plan=plan)
index.search(queries[:1], 10)
opened = time.perf_counter() - start
for query in queries[:500]:
    index.search(query[None], 10)
index.search(queries[:1], 10_000)
start = time.perf_counter()
index.reconstruct(np.random.default_rng(0).integers(0, len(index), 10_000))
print(json.dumps({"first_answer_s": round(opened, 2), "private_mb": round(private(), 1),
                  "reconstruct_10000_ms": round((time.perf_counter() - start) * 1e3, 1)}))
"""


def whole(vectors: Vectors) -> Any:
    """Every row as fp32, as a graph wants it."""
    rows = np.empty((vectors.count, vectors.dimension), dtype=np.float32)
    at = 0
    for block in vectors.blocks():
        rows[at : at + len(block)] = block
        at += len(block)
    return rows


def open_faiss(path: Path, vectors: Vectors) -> Search:
    if not path.exists():
        graph = faiss.IndexHNSWFlat(vectors.dimension, 32, faiss.METRIC_INNER_PRODUCT)
        graph.add(whole(vectors))
        faiss.write_index(graph, str(path))
    index = faiss.read_index(str(path))

    def search(query: Any, effort: int) -> Any:
        faiss.omp_set_num_threads(1)
        return index.search(query, K, params=faiss.SearchParametersHNSW(efSearch=effort))[1][0]

    return search


def open_hnswlib(path: Path, vectors: Vectors) -> Search:
    import hnswlib

    index = hnswlib.Index("ip", vectors.dimension)
    if path.exists():
        index.load_index(str(path))
    else:
        index.init_index(vectors.count, M=32, ef_construction=100)
        index.add_items(whole(vectors))
        index.save_index(str(path))
    index.set_num_threads(1)

    def search(query: Any, effort: int) -> Any:
        index.set_ef(effort)
        return index.knn_query(query, K)[0][0]

    return search


def open_usearch(path: Path, vectors: Vectors) -> Search:
    from usearch.index import Index

    index = Index(ndim=vectors.dimension, metric="ip", dtype="f32")
    if path.exists():
        index.load(str(path))
    else:
        index.add(np.arange(vectors.count), whole(vectors))
        index.save(str(path))

    def search(query: Any, effort: int) -> Any:
        index.expansion_search = effort
        return index.search(query[0], K, threads=1).keys

    return search


PEERS = {"faiss": open_faiss, "hnswlib": open_hnswlib, "usearch": open_usearch}


def recall(search: Search, queries: Any, truth: Any, effort: int) -> float:
    found = [
        np.isin(t, search(q[None], effort)).mean() for q, t in zip(queries, truth, strict=True)
    ]
    return float(np.mean(found))


def least_effort(search: Search, queries: Any, truth: Any) -> int:
    """As our plan is tuned: on queries that are not measured with."""
    for effort in EFFORTS:
        if recall(search, queries, truth, effort) >= TARGET:
            return effort
    return EFFORTS[-1]


def ask(
    searches: dict[str, Callable[[Any], Any]], queries: Any, truth: Any, rounds: int
) -> dict[str, Any]:
    """Rounds of all, interleaved; figures are of the round with the median processor time."""
    runs: dict[str, list[tuple[float, float, Any]]] = {name: [] for name in searches}
    found: dict[str, float] = {}
    for _ in range(rounds):
        for name, search in searches.items():
            for query in queries[:20]:
                search(query[None])
            times, answers = [], []
            cpu, wall = time.thread_time(), time.perf_counter()
            for query in queries:
                start = time.perf_counter()
                answers.append(search(query[None]))
                times.append((time.perf_counter() - start) * 1e3)
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            runs[name].append((cpu, wall, np.percentile(times, [50, 95, 99])))
            hits = [np.isin(t, a).mean() for t, a in zip(truth, answers, strict=True)]
            found[name] = float(np.mean(hits))
    result = {}
    for name, measured in runs.items():
        cpu, wall, percentiles = sorted(measured, key=lambda run: run[0])[len(measured) // 2]
        result[name] = {
            "recall_at_10": round(found[name], 4),
            "qps": round(len(queries) / wall),
            "cpu_qps": round(len(queries) / cpu),
            **dict(zip(("p50_ms", "p95_ms", "p99_ms"), percentiles.round(3).tolist(), strict=True)),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--peers", default=",".join(PEERS), help="of these, those installed")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "embeddings").is_dir():
            write_folder(folder / "embeddings", options.rows)
        peers = [n for n in options.peers.split(",") if importlib.util.find_spec(n) is not None]
        print(json.dumps(compare(folder, peers, options.memory, options.rounds), indent=2))


def compare(folder: Path, peers: list[str], memory: str, rounds: int) -> dict[str, Any]:
    vectors = open_embeddings(folder / "embeddings").vectors["image"]
    asked = np.load(folder / "embeddings/queries.npz")
    built: dict[str, Any] = {}
    cpu = time.process_time()
    if not (folder / "index/index.json").is_file():
        settings = BuildSettings(
            folder / "embeddings", folder / "index", max_index_memory_usage=memory
        )
        report = build(settings)
        built = {
            "wall_s": round(report.seconds, 1),
            "cpu_s": round(time.process_time() - cpu, 1),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    about = read_json(folder / "index/index.json")["indices"]["image"]
    opened = {name: PEERS[name](folder / name, vectors) for name in peers}
    ours = open_index(folder / "index/image.index")
    rows = {kind: asked[kind][: 2 * QUERIES] for kind in ("image", "text")}
    nobody = np.full(2 * QUERIES, -1)
    truth = dict(
        zip(
            rows,
            exact_neighbours(vectors.blocks(), [Questions(q, nobody, K) for q in rows.values()]),
            strict=True,
        )
    )
    answers: dict[str, Any] = {}
    for kind in ("image", "text"):
        tuning, held_out = slice(0, QUERIES), slice(QUERIES, 2 * QUERIES)
        mine = _tuned(ours, rows[kind][tuning], truth[kind][tuning])
        searches: dict[str, Callable[[Any], Any]] = {
            "search_back": lambda q, index=mine: index.search(q, K)[1][0]
        }
        efforts = {}
        for name, search in opened.items():
            effort = least_effort(search, rows[kind][tuning], truth[kind][tuning])
            efforts[name] = effort
            searches[name] = lambda q, search=search, effort=effort: search(q, effort)
        result = ask(searches, rows[kind][held_out], truth[kind][held_out], rounds)
        for name, effort in efforts.items():
            result[name]["effort"] = effort
        result["search_back"]["plan"] = mine.plan.to_json()
        answers[kind] = result
    command = [sys.executable, "-c", SERVING, str(folder / "index")]
    command.append(str(folder / "embeddings/queries.npz"))
    serving = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {
        "question": "queries a second at recall@10 ≥ 0.95, one thread, one query a call",
        "rows": vectors.count,
        "factory": about["factory"],
        "bytes": {"search_back": about["bytes"]}
        | {name: (folder / name).stat().st_size for name in opened},
        "build": built,
        "asked_by": answers,
        "serving": serving,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "faiss": faiss.__version__,
        },
    }


def _tuned(index: Any, queries: Any, truth: Any) -> Any:
    """Our index at the cheapest settings for these queries: as the build does for its own."""
    exam = Exam(Questions(queries, np.full(len(queries), -1), K), truth)
    exams: dict[Any, Exams] = {"image": Exams(exam, exam, exam)}
    plan = tune(index.on_threads(0), exams, recall=TARGET, ladder=(K,))
    return index.with_plan(SearchPlan.of(plan.at(K))).on_threads(1)


if __name__ == "__main__":
    main()
