"""What does a filter cost, over every row of a store? And a facet, and a row read by its id.

::

    python benchmarks/filters.py --rows 1000000 > filters.json

One thread, files warm, runs interleaved; JSON on stdout, milliseconds (median, least, most;
``cpu_ms``: of the thread, median, which other programs on the machine disturb least).
``mask``: a table in memory, beside the same written by hand for ``pyarrow.compute`` and, where it
is installed, pandas; ``ratio``: of our ``cpu_ms`` to each. ``store``: ``passing`` of each kind of
store, which also reads the columns. ``known``: a mask that the cache remembers.
``reconstruct_cost``: what one row read by its id and scored costs, in rows scanned by a search of
all lists.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from search_back.metadata import open_metadata
from search_back.search.filters import (
    FilterCache,
    exact_nearest,
    facet_counts,
    parse,
    passing,
)
from search_back.vectors import normalise

SEED = 0
FILTERS: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "number": (
        "width > 512",
        lambda t: pc.greater(t["width"], 512),
        lambda f: f["width"] > 512,
    ),
    "in": (
        "height in (100, 200, 300)",
        lambda t: pc.is_in(t["height"], value_set=pa.array([100, 200, 300])),
        lambda f: f["height"].isin([100, 200, 300]),
    ),
    "equal": (
        "flag = 'NSFW'",
        lambda t: pc.equal(t["flag"], "NSFW"),
        lambda f: f["flag"] == "NSFW",
    ),
    "contains": (
        "caption contains 'dog'",
        lambda t: pc.match_substring(t["caption"], "dog", ignore_case=True),
        lambda f: f["caption"].str.contains("dog", case=False, regex=False),
    ),
    "all together": (
        "width > 512 and flag = 'UNLIKELY' and not caption contains 'dog'",
        lambda t: pc.and_(
            pc.and_(pc.greater(t["width"], 512), pc.equal(t["flag"], "UNLIKELY")),
            pc.invert(pc.match_substring(t["caption"], "dog", ignore_case=True)),
        ),
        lambda f: (
            (f["width"] > 512)
            & (f["flag"] == "UNLIKELY")
            & ~f["caption"].str.contains("dog", case=False, regex=False)
        ),
    ),
}


def table(rows: int) -> pa.Table:
    """Captions of some 50 letters, one in a hundred of a dog; sizes; a flag of three values."""
    rng = np.random.default_rng(SEED)
    words = np.array(["a", "picture", "of", "the", "house", "cat", "garden", "Red", "with", "sea"])
    chosen = words[rng.integers(0, len(words), (rows, 10))]
    chosen[rng.random(rows) < 0.01, 7] = "Dog"
    columns = [pa.array(chosen[:, i]).cast(pa.large_string()) for i in range(10)]
    flags = np.array(["UNLIKELY", "UNSURE", "NSFW"])[rng.integers(0, 3, rows)]
    return pa.table(
        {
            "caption": pc.binary_join_element_wise(*columns, pa.scalar(" ", pa.large_string())),
            "width": rng.integers(64, 4096, rows),
            "height": rng.integers(64, 4096, rows),
            "flag": pa.array(flags).cast(pa.large_string()),
        }
    )


def times(runs: dict[str, Callable[[], object]], repeat: int) -> dict[str, dict[str, float]]:
    """Interleaved, so that a change of the machine's speed meets all alike; the first warms."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    busy: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeat + 1):
        for name, run in runs.items():
            start, cpu = time.perf_counter(), time.thread_time()
            run()
            found[name].append((time.perf_counter() - start) * 1e3)
            busy[name].append((time.thread_time() - cpu) * 1e3)
    return {
        name: {
            "median_ms": round(statistics.median(values[1:]), 3),
            "least_ms": round(min(values[1:]), 3),
            "most_ms": round(max(values[1:]), 3),
            "cpu_ms": round(statistics.median(busy[name][1:]), 3),
        }
        for name, values in found.items()
    }


def masks(data: pa.Table, repeat: int) -> dict[str, Any]:
    """Filters of a table in memory, and what they would cost without a language."""
    frame = data.to_pandas() if importlib.util.find_spec("pandas") else None
    result = {}
    for name, (text, by_hand, by_pandas) in FILTERS.items():
        parsed = parse(text, data.schema)
        runs: dict[str, Callable[[], object]] = {
            "ours": lambda parsed=parsed: parsed.mask(data),
            "pyarrow": lambda run=by_hand: run(data).to_numpy(),
        }
        if frame is not None:
            runs["pandas"] = lambda run=by_pandas: run(frame).to_numpy()
        measured = times(runs, repeat)
        ours = measured["ours"]["cpu_ms"]
        result[name] = {
            "filter": text,
            "passing": int(parsed.mask(data).sum()),
            **measured,
            "ratio": {
                other: round(ours / measured[other]["cpu_ms"], 2)
                for other in measured
                if other != "ours"
            },
        }
    return result


def stores(data: pa.Table, repeat: int) -> dict[str, Any]:
    """``passing`` of each kind of store; a mask that is known; facets of all rows."""
    order = np.random.default_rng(SEED).permutation(data.num_rows)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("parquet", "hdf5", "ordered", "arrow"):
            (root / name / "metadata").mkdir(parents=True)
        for name in ("parquet", "hdf5", "ordered"):
            pq.write_table(data, root / name / "metadata/0.parquet")
        with pa.ipc.new_file(str(root / "arrow/metadata/0.arrow"), data.schema) as writer:
            writer.write_table(data.combine_chunks())
        opened = {
            "parquet": open_metadata(root / "parquet", kind="parquet"),
            "arrow": open_metadata(root / "arrow", kind="arrow"),
            "hdf5": open_metadata(root / "hdf5", kind="hdf5"),
            "hdf5 in the order of lists": open_metadata(
                root / "ordered", kind="hdf5", reorder=order
            ),
        }
        asked = {name: parse(text, data.schema) for name, (text, _, _) in FILTERS.items()}
        result: dict[str, Any] = {
            kind: times(
                {
                    name: lambda filter_=filter_, store=store: passing(filter_, store)
                    for name, filter_ in asked.items()
                },
                repeat,
            )
            for kind, store in opened.items()
        }
        cache, store = FilterCache(64 << 20), opened["hdf5"]
        result["known"] = times(
            {"contains": lambda: cache.passing(asked["contains"], store, version="1")}, repeat
        )["contains"]
        result["facets of hdf5"] = times(
            {name: lambda name=name: facet_counts(store, [name]) for name in ("flag", "width")},
            repeat,
        )
        for opened_store in opened.values():
            opened_store.close()
    return result


def reconstruct_cost(rows: int, dimension: int, repeat: int) -> dict[str, Any]:
    """What a row read by its id costs, in rows scanned; scattered rows, one in ten."""
    import faiss

    from search_back.index import FaissIndex, SearchSettings

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(SEED)
    vectors = normalise(rng.standard_normal((rows, dimension)))
    some = np.sort(rng.choice(rows, rows // 10, replace=False))
    result = {}
    for factory in ("IVF64,Flat", "IVF64,SQ8"):
        raw = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
        raw.train(vectors[:10_000])
        raw.add(vectors)
        index = FaissIndex(raw, SearchSettings(nprobe=64), threads=1)
        measured = times(
            {
                "scan": lambda index=index: index.search(vectors[:1], 40),
                "read": lambda index=index: exact_nearest(index, vectors[0], some, 40),
            },
            repeat,
        )
        scan_us = measured["scan"]["cpu_ms"] * 1e3 / rows
        read_us = measured["read"]["cpu_ms"] * 1e3 / len(some)
        result[factory] = {
            "scan_us": round(scan_us, 4),
            "read_us": round(read_us, 4),
            "cost": round(read_us / scan_us, 1),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=512)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    data = table(options.rows)
    result = {
        "question": "milliseconds of a filter over every row",
        "rows": options.rows,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "versions": {"pyarrow": pa.__version__, "numpy": np.__version__},
        "mask": masks(data, options.repeat),
        "store": stores(data, options.repeat),
        "reconstruct_cost": reconstruct_cost(options.vectors, options.dimension, options.repeat),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
