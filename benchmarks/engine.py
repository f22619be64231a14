"""How fast does the index that is chosen answer, at what recall, beside graph indices?

::

    pip install hnswlib usearch
    python benchmarks/engine.py > engine.json

Builds indices of synthetic pictures (`vectors.py`) as `search-back index` does, and of the smaller
collection also HNSW graphs of faiss, hnswlib and usearch; those that are not installed are left
out. Each is asked one query at a time on one thread, by picture and by text, at the two efforts
between which it comes to find 0.95 of the true ten nearest, rounds of all of them interleaved;
what it takes at just 0.95 lies between the two. ``lost``: the share of queries of which at most two
of the ten are found, where the mean hides them. Our settings for an effort come from other
queries, as in a build; ``lists``: the same without the graph of neighbours beside its lists. JSON
on stdout: recall, queries a second of wall and of processor time
(which other programs disturb less), milliseconds, bytes, seconds of building; `times_raw_faiss`:
our processor time through lists over that of faiss called with the same parameters;
`lists_for_recall`: lists that must be visited for 0.95 if nothing else loses a neighbour;
`serving`: what a process that maps our index takes. What is in `--folder` from before is not built
again.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from vectors import write_folder

from search_back.files import read_json
from search_back.index import open_index
from search_back.index.build import BuildSettings, build
from search_back.index.coarse import quantiser_parameters
from search_back.index.embeddings import Vectors, open_embeddings
from search_back.index.exact import Questions, exact_neighbours
from search_back.index.faiss_index import FaissIndex
from search_back.index.measure import Exam, Exams
from search_back.index.parameters import call_parameters
from search_back.index.tune import tune
from search_back.search.knn import nearest

ROWS, PEER_ROWS = 1_000_000, 200_000  # graphs of more take hours
K, TARGET = 10, 0.95
LOST = 0.2  # recall of a query that an engine has as good as missed
TUNING, QUERIES = 256, 1_000  # of each kind, to tune with and to measure with
EFFORTS = tuple(round(16 * 2 ** (i / 4)) for i in range(33))  # of graphs
AIMS = tuple(TARGET + i / 100 for i in range(-4, 4))  # recall that our settings are tuned to
FIRST_AIM = 3  # of those: other queries mostly find a little more than what was aimed at
Ask = Callable[[Any], Any]
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
index.search(queries[:1], 10, asked_by="image")
opened = time.perf_counter() - start
for query in queries[:500]:
    index.search(query[None], 10, asked_by="image")
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


@dataclass(frozen=True)
class Point:
    """An engine at one effort: what answers a ``(d,)`` query with ids, and the recall of each."""

    effort: Any
    ask: Ask
    recalls: Any

    @property
    def recall(self) -> float:
        return float(np.mean(self.recalls))

    @property
    def lost(self) -> float:
        return float(np.mean(self.recalls <= LOST))


@dataclass(frozen=True)
class Run:
    """One round of all queries: seconds of processor and wall time, milliseconds of each query."""

    cpu: float
    wall: float
    times: Any


def recalls(ask: Ask, queries: Any, truth: Any) -> Any:
    return np.array([np.isin(t, ask(q)).mean() for q, t in zip(queries, truth, strict=True)])


def graph_points(search: Search, queries: Any, truth: Any) -> Iterator[Point]:
    for effort in EFFORTS:
        ask = partial(_ask_graph, search, effort)
        yield Point(effort, ask, recalls(ask, queries, truth))


def _ask_graph(search: Search, effort: int, query: Any) -> Any:
    return search(query[None], effort)


def our_points(index: FaissIndex, tuning: tuple[Any, Any], queries: Any, truth: Any) -> list[Point]:
    """What is tuned to neighbouring aims: the last below the target and the first that reaches it.

    Tuning among many millions takes minutes, so the aims between which that lies are looked for
    from the likeliest one.
    """
    rows, answers = tuning
    exam = Exam(Questions(rows, np.full(len(rows), -1), K), answers)

    @cache
    def at(number: int) -> Point:
        plan = tune(
            index.on_threads(0),
            {"image": Exams(exam, exam, exam)},
            recall=AIMS[number],
            ladder=(K,),
        )
        settings = plan.at(K, "image")
        ask = partial(_ask_ours, index.with_settings(settings))
        return Point(settings, ask, recalls(ask, queries, truth))

    above = FIRST_AIM
    while at(above).recall < TARGET and above + 1 < len(AIMS):
        above += 1
    while above and at(above - 1).recall >= TARGET:
        above -= 1
    return [at(above)] if above == 0 else [at(above - 1), at(above)]


def _ask_ours(index: FaissIndex, query: Any) -> Any:
    return nearest(index, query, K)[1]


def around(points: Iterator[Point]) -> list[Point]:
    """The last effort below the target and the first that reaches it."""
    below: list[Point] = []
    for point in points:
        if point.recall >= TARGET:
            return [*below, point]
        below = [point]
    return below


def measured(
    engines: dict[str, list[Point]], queries: dict[str, Any], rounds: int
) -> dict[str, list[Run]]:
    """The round with the median processor time, for each point of each engine."""
    runs: dict[str, list[list[Run]]] = {n: [[] for _ in p] for n, p in engines.items()}
    for _ in range(rounds):
        for name, points in engines.items():
            for point, done in zip(points, runs[name], strict=True):
                done.append(_round(point.ask, queries[name]))
    return {
        name: [sorted(done, key=lambda run: run.cpu)[len(done) // 2] for done in of_points]
        for name, of_points in runs.items()
    }


def _round(ask: Ask, queries: Any) -> Run:
    for query in queries[:20]:
        ask(query)
    times = np.empty(len(queries))
    cpu, wall = time.thread_time(), time.perf_counter()
    for i, query in enumerate(queries):
        start = time.perf_counter()
        ask(query)
        times[i] = time.perf_counter() - start
    return Run(time.thread_time() - cpu, time.perf_counter() - wall, times * 1e3)


def at_target(points: list[Point], runs: list[Run], queries: int) -> dict[str, Any]:
    """Speed at just the target, between the two points; recall and effort of each."""

    def between(values: list[float]) -> float:
        if len(points) == 1:
            return values[0]
        low, high = (p.recall for p in points)
        part = (TARGET - low) / (high - low)
        return values[0] + part * (values[1] - values[0])

    percentiles = [np.percentile(run.times, [50, 95, 99]) for run in runs]
    return {
        "recall_at_10": round(between([p.recall for p in points]), 4),
        "qps": round(queries / between([run.wall for run in runs])),
        "cpu_qps": round(queries / between([run.cpu for run in runs])),
        **{
            name: round(between([float(p[i]) for p in percentiles]), 3)
            for i, name in enumerate(("p50_ms", "p95_ms", "p99_ms"))
        },
        "measured_at": [
            {"effort": str(p.effort), "recall_at_10": round(p.recall, 4), "lost": round(p.lost, 4)}
            for p in points
        ],
    }


def raw_point(index: FaissIndex, like: Point) -> Point:
    """faiss alone with the parameters of one of our points."""
    raw = faiss.downcast_index(index.raw)
    parameters = call_parameters(raw, K, like.effort, breadth=K)

    def ask(query: Any) -> Any:
        return raw.search(query[None], K, params=parameters)[1][0]

    return Point(like.effort, ask, like.recalls)


def lists_for_recall(index: FaissIndex, queries: Any, truth: Any) -> int | None:
    """So many lists hold the target's share of the true neighbours."""
    ivf = index.ivf
    if ivf is None:
        return None
    owner = np.empty(len(index), dtype=np.int64)
    for number in range(ivf.nlist):
        size = ivf.invlists.list_size(number)
        owner[faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size)] = number
    every = quantiser_parameters(ivf, ivf.nlist)
    _, order = ivf.quantizer.search(queries, ivf.nlist, params=every)
    rank = np.argsort(order, axis=1)
    needed = np.take_along_axis(rank, owner[truth], axis=1) + 1
    return int(np.quantile(needed, TARGET, method="inverted_cdf"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=None, help="1000000; 200000 beside peers")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--factory", default=None, help="an index of this kind, not one chosen")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--peers", default=",".join(PEERS), help="of these, those installed")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    peers = [n for n in options.peers.split(",") if n and importlib.util.find_spec(n) is not None]
    rows = options.rows or (PEER_ROWS if peers else ROWS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "embeddings").is_dir():
            write_folder(folder / "embeddings", rows)
        settings = BuildSettings(
            folder / "embeddings",
            folder / "index",
            max_index_memory_usage=options.memory,
            factory=options.factory,
        )
        print(json.dumps(compare(settings, peers, options.rounds), indent=2))


def compare(settings: BuildSettings, peers: list[str], rounds: int) -> dict[str, Any]:
    folder = settings.index_folder.parent
    vectors = open_embeddings(folder / "embeddings").vectors["image"]
    asked = np.load(folder / "embeddings/queries.npz")
    built = _build(settings)
    about = read_json(folder / "index/index.json")["indices"]["image"]
    graphs = {name: PEERS[name](folder / name, vectors) for name in peers}
    ours = open_index(folder / "index/image.index")
    rows = {kind: asked[kind][: TUNING + QUERIES] for kind in ("image", "text")}
    nobody = np.full(TUNING + QUERIES, -1)
    truths = exact_neighbours(vectors.blocks(), [Questions(q, nobody, K) for q in rows.values()])
    answers: dict[str, Any] = {}
    for (kind, queries), truth in zip(rows.items(), truths, strict=True):
        answers[kind] = _asked_by(ours, graphs, queries, truth, rounds)
    command = [sys.executable, "-c", SERVING, str(folder / "index")]
    command.append(str(folder / "embeddings/queries.npz"))
    serving = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {
        "question": "queries a second at recall@10 = 0.95, one thread, one query a call",
        "rows": vectors.count,
        "factory": about["factory"],
        "bytes": {"search_back": about["bytes"]}
        | {name: (folder / name).stat().st_size for name in graphs},
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


def _build(settings: BuildSettings) -> dict[str, Any]:
    if (settings.index_folder / "index.json").is_file():
        return {}
    cpu = time.process_time()
    report = build(settings)
    return {
        "wall_s": round(report.seconds, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _asked_by(
    ours: FaissIndex, graphs: dict[str, Search], queries: Any, truth: Any, rounds: int
) -> dict[str, Any]:
    tuning = queries[:TUNING], truth[:TUNING]
    queries, truth = queries[TUNING:], truth[TUNING:]
    engines = {"search_back": our_points(ours, tuning, queries, truth)}
    bare = FaissIndex(ours.raw)
    lists = "lists" if ours.neighbours is not None else "search_back"
    if ours.neighbours is not None:
        engines[lists] = our_points(bare, tuning, queries, truth)
    engines |= {n: around(graph_points(s, queries, truth)) for n, s in graphs.items()}
    engines["raw"] = [raw_point(ours, point) for point in engines[lists]]
    runs = measured(engines, dict.fromkeys(engines, queries), rounds)
    raw = runs.pop("raw")
    result = {n: at_target(engines[n], of_points, len(queries)) for n, of_points in runs.items()}
    through_lists, by_faiss = (sum(run.cpu for run in r) for r in (runs[lists], raw))
    result[lists]["times_raw_faiss"] = round(through_lists / by_faiss, 3)
    result[lists]["lists_for_recall"] = lists_for_recall(ours, queries, truth)
    return result


if __name__ == "__main__":
    main()
