"""How do building and asking grow with the collection?

::

    python benchmarks/growth.py --folder /tmp/growth > growth.json
    python benchmarks/growth.py --rows 10000 100000 --folder /tmp/small

For each number of rows writes synthetic embeddings (`vectors.py`), builds an index of them with
`search-back index` as a user would, and asks all indices one query at a time on one thread, by
picture and by text, at the two efforts between which each comes to find 0.95 of the true ten
nearest; rounds of all of them interleaved. All collections are of one world: a larger one has all
pictures of a smaller one and more of the same clusters, and the same queries ask both. Clusters are
as many as `engine.py` has for the smallest, unless `--clusters` tells. JSON on stdout: for each
size the build's seconds and its largest resident memory, bytes, recall, milliseconds of wall and
processor time at just 0.95; `times_the_smallest`: processor time over that of the first size.
10,000,000 rows of 512 dimensions take 10 GB of embeddings, 8 GB of index, and 20 GB of memory while
it is built. What is in `--folder` from before is not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from engine import TUNING, K, Point, Run, at_target, measured, our_points
from vectors import clusters_for, write_folder

from search_back.files import read_json
from search_back.index import open_index
from search_back.index.embeddings import open_embeddings
from search_back.index.exact import Questions, exact_neighbours

QUERIES = 500  # of each kind


def build(folder: Path, rows: int, clusters: int) -> dict[str, Any]:
    """Make what is not there; what the build took, as it was when it was made."""
    if not (folder / "embeddings/queries.npz").is_file():  # written last
        write_folder(folder / "embeddings", rows, clusters=clusters)
    report = folder / "build.json"
    if not report.is_file():
        gigabytes = max(1, rows // 1_000_000)
        command = [sys.executable, "-m", "search_back.cli", "index"]
        command += ["--embeddings-folder", str(folder / "embeddings")]
        command += ["--index-folder", str(folder / "index")]
        command += ["--max-index-memory-usage", f"{gigabytes}G"]
        command += ["--current-memory-available", f"{2 * gigabytes}G"]
        report.write_text(json.dumps(_watched(command)))
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def _watched(command: list[str]) -> dict[str, Any]:
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            peak = max(peak, _largest(process.pid))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"search-back index ended with {process.returncode}")
    return {"wall_s": round(time.perf_counter() - start, 1), "peak_mb": peak // 1024}


def _largest(pid: int) -> int:
    """Kilobytes of resident memory at its peak; of this program, not of the one that called it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0  # it has just ended


def truths(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The true neighbours of the queries, which take minutes: kept."""
    kept = folder / "truths.npz"
    if not kept.is_file():
        vectors = open_embeddings(folder / "embeddings").vectors["image"]
        questions = [Questions(q, np.full(len(q), -1), K) for q in asked.values()]
        found = exact_neighbours(vectors.blocks(), questions)
        np.savez(kept, **dict(zip(asked, found, strict=True)))
    with np.load(kept) as file:
        return {kind: file[kind] for kind in asked}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clusters", type=int, default=None, help="of the world they are from")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    clusters = options.clusters or clusters_for(min(options.rows))
    sizes: dict[str, dict[str, Any]] = {}
    points: dict[str, dict[str, list[Point]]] = {"image": {}, "text": {}}
    queries: dict[str, dict[str, Any]] = {"image": {}, "text": {}}
    for rows in options.rows:
        folder = options.folder / str(rows)
        folder.mkdir(parents=True, exist_ok=True)
        sizes[str(rows)] = {"build": build(folder, rows, clusters)}
        about = read_json(folder / "index/index.json")["indices"]["image"]
        sizes[str(rows)] |= {"factory": about["factory"], "bytes": about["bytes"]}
        with np.load(folder / "embeddings/queries.npz") as file:
            asked = {kind: file[kind][: TUNING + QUERIES] for kind in points}
        true = truths(folder, asked)
        index = open_index(folder / "index/image.index", memory_mapping=True)
        for kind, rows_asked in asked.items():
            tuning = rows_asked[:TUNING], true[kind][:TUNING]
            rest = rows_asked[TUNING:], true[kind][TUNING:]
            points[kind][str(rows)] = our_points(index, tuning, *rest)
            queries[kind][str(rows)] = rest[0]
    for kind, of_kind in points.items():
        runs = measured(of_kind, queries[kind], options.rounds)
        first: float | None = None
        for rows_, done in runs.items():
            told = _told(of_kind[rows_], done)
            first = first or told["cpu_ms"]
            told["times_the_smallest"] = round(told["cpu_ms"] / first, 2)
            sizes[rows_][kind] = told
    print(json.dumps(sizes, indent=2))


def _told(points: list[Point], runs: list[Run]) -> dict[str, Any]:
    told = at_target(points, runs, QUERIES)
    told["cpu_ms"] = round(1e3 / told["cpu_qps"], 3)
    return told


if __name__ == "__main__":
    main()
