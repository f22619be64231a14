"""How fast does each metadata store take rows? And h5py one cell at a time, in the same run.

::

    python benchmarks/metadata.py --rows 1000000 > metadata.json

A table of url, caption and flag; 1,000 and 100,000 random rows, 100,000 rows of a few lists of a
vector index ("list order"), and all rows in random order. Stores take turns, files are warm and
mapped, and every take asks for other ids: the same ones twice would be found in the processor's
caches. In a turn 1,000 rows are taken ten times, as a server does that answers one query after
another; the first of them waits for code and tables that other stores have driven out. JSON on
stdout: milliseconds (median, least, most; ``cpu_ms``: of the thread, median and least) and rows per
millisecond; ``open_ms`` and ``private_mb``: what opening costs, in a fresh process.

What the machine can do stands in the same run: ``limit: pyarrow`` takes from the same columns in
plain memory, unchecked; ``limit: copy`` copies one aligned record of 128 bytes a row, about as
much as a row has, so it pays for one place a row where columns pay for two each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search_back.metadata import open_metadata

SEED = 0
LISTS = 1000
WARMED = 5
A_TURN = 10_000  # rows
OPENING = """
import json, sys, time
from pathlib import Path
import numpy as np
from search_back.metadata import open_metadata
def private():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024
before, start = private(), time.perf_counter()
order = (lambda: None) if sys.argv[3] == "ordered" else None
store = open_metadata(Path(sys.argv[1]), kind=sys.argv[2], reorder=order)
store.take(np.array([0]))
print(json.dumps([(time.perf_counter() - start) * 1e3, private() - before]))
"""


def table(rows: int) -> pa.Table:
    """Rows such as those of a scraped data set."""
    rng = np.random.default_rng(SEED)
    hosts, words = rng.integers(0, 5000, rows).tolist(), rng.integers(1, 12, rows).tolist()
    flags = np.array(["UNLIKELY", "UNSURE", "NSFW"], object)[rng.integers(0, 3, rows)]
    return pa.table(
        {
            "url": pa.array(f"https://host{h}.example.org/{i:x}.jpg" for i, h in enumerate(hosts)),
            "caption": pa.array(" ".join(["picture"] * w) + f" {i}" for i, w in enumerate(words)),
            "flag": pa.array(flags, pa.string()),
        }
    )


def build(root: Path, rows: int, order: np.ndarray[Any, Any]) -> dict[str, float]:
    """The folders of all stores; seconds that ours took."""
    data = table(rows)
    for name in ("parquet", "hdf5", "ordered", "arrow", "batches"):
        (root / name / "metadata").mkdir(parents=True)
    for name in ("parquet", "hdf5", "ordered"):
        pq.write_table(data, root / name / "metadata/0.parquet")
    for name, size in (("arrow", rows), ("batches", -(-rows // 100))):
        with pa.ipc.new_file(str(root / name / "metadata/0.arrow"), data.schema) as writer:
            writer.write_table(data.combine_chunks(), max_chunksize=size)
    (root / "legacy").mkdir()
    with h5py.File(root / "legacy/metadata.hdf5", "w") as file:
        for name in data.column_names:
            values = np.array(data[name].to_pylist(), object)
            file.create_dataset(
                f"dataset/{name}", data=values, maxshape=(None,), compression="gzip"
            )
    seconds = {}
    for name, reorder in (("hdf5", None), ("ordered", order)):
        start = time.perf_counter()
        open_metadata(root / name, kind="hdf5", reorder=reorder).close()
        seconds[name] = round(time.perf_counter() - start, 2)
    return seconds


def cells(path: Path) -> Callable[[np.ndarray[Any, Any]], object]:
    """One cell at a time through h5py, as the server before this one reads."""
    group = h5py.File(path, "r")["dataset"]

    def take(ids: np.ndarray[Any, Any]) -> object:
        items: list[dict[str, Any]] = [{} for _ in ids]
        for name in group:
            for i, id_ in enumerate(ids):
                items[i][name] = group[name][id_]
        return items

    return take


def limits(rows: int) -> dict[str, Callable[[np.ndarray[Any, Any]], object]]:
    """The least that reading rows costs here: see above."""
    data = table(rows)
    columns = [data[name].combine_chunks().cast(pa.large_string()) for name in data.column_names]
    batch = pa.record_batch(columns, names=data.column_names)
    records = np.ones((rows, 128), np.uint8).view("V128").ravel()
    return {
        "limit: pyarrow": lambda ids: batch.take(pa.array(ids)),
        "limit: copy": records.take,
    }


def measure(
    takes: dict[str, Callable[[np.ndarray[Any, Any]], object]],
    draw: Callable[[], np.ndarray[Any, Any]],
    warm: np.ndarray[Any, Any],
    repeat: int,
    slow: dict[str, int],
) -> dict[str, Any]:
    """Runs over fresh ids, in another order each time; one in ``slow`` has no more rows than that.

    Each takes a few other rows first, so that none pays for what the one before it left in the
    processor's caches.
    """
    order = random.Random(SEED)
    times: dict[str, list[float]] = {}
    busy: dict[str, list[float]] = {}
    for _ in range(repeat + 1):
        ids = draw()
        for name, take in order.sample(list(takes.items()), len(takes)):
            if len(ids) > slow.get(name, len(ids)):
                continue
            for part in np.split(warm, WARMED):
                take(part)
            takes_a_turn = 1 if name in slow else max(1, A_TURN // len(ids))
            for asked in [ids, *(draw() for _ in range(takes_a_turn - 1))]:
                start, cpu = time.perf_counter(), time.thread_time()
                take(asked)
                times.setdefault(name, []).append((time.perf_counter() - start) * 1e3)
                busy.setdefault(name, []).append((time.thread_time() - cpu) * 1e3)
    result = {}
    for name, runs in times.items():
        median = statistics.median(runs[1:])
        result[name] = {
            "median_ms": round(median, 3),
            "least_ms": round(min(runs[1:]), 3),
            "most_ms": round(max(runs[1:]), 3),
            "cpu_ms": round(statistics.median(busy[name][1:]), 3),
            "least_cpu_ms": round(min(busy[name][1:]), 3),
            "rows_per_ms": round(len(ids) / median, 1),
        }
    return result


def opening(root: Path) -> dict[str, Any]:
    result = {}
    for name in ("parquet", "arrow", "batches", "hdf5", "ordered", "legacy"):
        kind = {"batches": "arrow", "ordered": "hdf5", "legacy": "hdf5"}.get(name, name)
        output = subprocess.run(
            [sys.executable, "-c", OPENING, str(root / name), kind, name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        milliseconds, megabytes = json.loads(output)
        result[name] = {"open_ms": round(milliseconds, 1), "private_mb": round(megabytes, 1)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=11)
    options = parser.parse_args()
    rows = options.rows
    rng = np.random.default_rng(SEED)
    # A list of an index holds scattered ids; a query reads some whole lists.
    order = np.argsort(rng.integers(0, LISTS, rows), kind="stable")
    many = min(100_000, rows)
    size = rows // LISTS

    def some_lists() -> np.ndarray[Any, Any]:
        lists = np.sort(rng.permutation(LISTS)[: many // size])
        return order[(lists[:, None] * size + np.arange(size)).ravel()]

    sets: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
        "1000 random": lambda: rng.integers(0, rows, 1000),
        f"{many} random": lambda: rng.integers(0, rows, many),
        f"{many} in list order": some_lists,
        f"{rows} random": lambda: rng.permutation(rows),
        f"{rows} in list order": lambda: order,
    }
    warm = rng.integers(0, rows, 200)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        built = build(root, rows, order)
        stores = {
            "parquet": open_metadata(root / "parquet", kind="parquet"),
            "arrow": open_metadata(root / "arrow", kind="arrow"),
            "arrow in 100 batches": open_metadata(root / "batches", kind="arrow"),
            "hdf5": open_metadata(root / "hdf5", kind="hdf5"),
            "hdf5 ordered": open_metadata(root / "ordered", kind="hdf5", reorder=order),
            "legacy": open_metadata(root / "legacy", kind="hdf5"),
        }
        takes: dict[str, Callable[[np.ndarray[Any, Any]], object]] = {
            name: store.take for name, store in stores.items()
        }
        takes |= limits(rows)
        takes["h5py, cell by cell"] = cells(root / "legacy/metadata.hdf5")
        slow = {"h5py, cell by cell": 1000, "legacy": 1000}
        for name in takes.keys() - slow.keys():
            takes[name](order)  # maps every page
        result = {
            "question": "rows per millisecond of each metadata store",
            "rows": rows,
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load": os.getloadavg()[0],
                "python": platform.python_version(),
            },
            "versions": {"pyarrow": pa.__version__, "h5py": h5py.__version__},
            "build_s": built,
            "opening": opening(root),
            "take": {
                name: measure(takes, draw, warm, options.repeat, slow)
                for name, draw in sets.items()
            },
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
