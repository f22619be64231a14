"""What does a filter cost, over every row of a store? And a facet, and a search among what passes.

::

    python benchmarks/filters.py --rows 1000000 > filters.json
    python benchmarks/filters.py --rows 0 --vectors 200000 --index /tmp/world > search.json

One thread, files warm, runs interleaved; JSON on stdout, milliseconds (median, least, most;
``cpu_ms``: of the thread, median, which other programs on the machine disturb least).
``mask``: a table in memory, beside the same written by hand for ``pyarrow.compute`` and, where it
is installed, pandas; ``ratio``: of our ``cpu_ms`` to each. ``store``: ``passing`` of each kind of
store, which also reads the columns. ``known``: a mask that the cache remembers.
``search``: by kind of index, of mask and of query and by k: ``recall`` against brute force among
the rows that pass, ``cpu_ms``, and ``ratio`` to the same query without a mask. Masks: rows at
``random``; of one ``cluster``, whichever; of one ``unlike`` the query, around one of the hundredth
of rows farthest from it. ``--index``: a folder as ``benchmarks/engine.py`` leaves it, instead of
building one.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from vectors import Rows, write_folder

from search_back.config import IndexOptions
from search_back.index import FaissIndex, SearchPlan, SearchSettings
from search_back.index.build import BuildSettings, build
from search_back.index.plan import Step
from search_back.metadata import open_metadata
from search_back.search.filters import (
    FilterCache,
    facet_counts,
    parse,
    passing,
)
from search_back.services import open_snapshot
from search_back.types import MODALITIES, IdMask, Modality

SEED = 0
SHARES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
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


def mask_of(kind: str, share: float, similarities: Rows, vectors: Rows, rng: Any) -> IdMask:
    """Rows that pass; ``similarities``: of the query to each."""
    rows, count = len(vectors), max(1, round(share * len(vectors)))
    if kind == "random":
        chosen = rng.choice(rows, count, replace=False)
    else:
        few = max(1, rows // 100)
        far = np.argpartition(similarities, few)[:few]
        anchor = rng.integers(rows) if kind == "cluster" else rng.choice(far)
        chosen = np.argpartition(-(vectors @ vectors[anchor]), count - 1)[:count]
    passing = np.zeros(rows, dtype=np.bool_)
    passing[chosen] = True
    return IdMask.of(passing)


def indices(folder: Path, vectors: Rows, names: Sequence[str]) -> Iterator[FaissIndex]:
    """The default index of a folder, and of the same vectors those of other factories."""
    import faiss

    faiss.omp_set_num_threads(1)
    default = open_snapshot("world", IndexOptions(folder / "index")).indices["image"]
    assert isinstance(default, FaissIndex)
    yield default
    graph = [Step(10, SearchSettings(ef_search=800)), Step(1000, SearchSettings(ef_search=4000))]
    every = Step(len(vectors), SearchSettings(ef_search=len(vectors)))
    for name in names:
        raw = faiss.index_factory(vectors.shape[1], name, faiss.METRIC_INNER_PRODUCT)
        raw.train(vectors[:50_000])
        raw.add(vectors)
        plan = SearchPlan({"image": (*graph, every)}) if "HNSW" in name else None
        yield FaissIndex(raw, plan)


def search(index: FaissIndex, vectors: Rows, asked: dict[Modality, Rows]) -> dict[str, Any]:
    """Recall and time among the rows of masks of every kind and share."""
    rng = np.random.default_rng(SEED)
    result: dict[str, Any] = {}
    for kind in ("random", "cluster", "unlike"):
        for share, k in itertools.product(SHARES, (10, 40, 1000)):
            if share * len(vectors) < k:
                continue
            for modality, queries in asked.items():
                recalls: list[float] = []
                busy: dict[str, list[float]] = {"masked": [], "free": []}
                for query in queries:
                    similarities = vectors @ query
                    mask = mask_of(kind, share, similarities, vectors, rng)
                    runs = {"masked": mask, "free": None}
                    for warm in (False, True):
                        for name, among in runs.items():
                            start = time.thread_time()
                            found = index.search(query[None], k, among=among, asked_by=modality)[1]
                            took = (time.thread_time() - start) * 1e3
                            if not warm:
                                continue
                            busy[name].append(took)
                            if among is not None:
                                truth = mask.ids[np.argsort(-similarities[mask.ids])[:k]]
                                recalls.append(np.isin(truth, found[0]).mean())
                masked, free = (statistics.median(busy[name]) for name in ("masked", "free"))
                result[f"{kind} {share:.2%} {modality} k={k}"] = {
                    "recall": round(float(np.mean(recalls)), 4),
                    "cpu_ms": round(masked, 3),
                    "ratio": round(masked / free, 2),
                }
    return result


def searches(options: argparse.Namespace) -> dict[str, Any]:
    """By kind of index, in the folder that is named or in one that is made."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.index or Path(temporary)
        if not (folder / "embeddings").is_dir():
            write_folder(folder / "embeddings", options.vectors)
        if not (folder / "index/index.json").is_file():
            build(BuildSettings(folder / "embeddings", folder / "index"))
        parts = sorted((folder / "embeddings/img_emb").glob("*.npy"))
        vectors = np.concatenate([np.load(part) for part in parts]).astype(np.float32)
        loaded = np.load(folder / "embeddings/queries.npz")
        asked = {kind: loaded[kind][: options.queries] for kind in MODALITIES}
        return {
            index.kind: search(index, vectors, asked)
            for index in indices(folder, vectors, options.factories)
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--vectors", type=int, default=50_000)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--factories", nargs="*", default=["IVF512,SQ8", "HNSW32", "SQ8", "Flat"])
    parser.add_argument("--queries", type=int, default=20)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    result: dict[str, Any] = {
        "question": "milliseconds of a filter over every row",
        "rows": options.rows,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "versions": {"pyarrow": pa.__version__, "numpy": np.__version__},
    }
    if options.rows:
        data = table(options.rows)
        result["mask"] = masks(data, options.repeat)
        result["store"] = stores(data, options.repeat)
    if options.vectors:
        result["search"] = searches(options)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
