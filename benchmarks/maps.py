"""What does a map cost: its points by PCA and by t-SNE, its clusters, their names?

::

    python benchmarks/maps.py > maps.json

Rows of ``--dimension`` around as many centres as there are pictures of different things, captions
of ten words. Seconds of processor time of one thread, which other programs disturb least.
``neighbours``: how many of the 10 nearest of each embedding are among the 10 nearest on the map.
"""

from __future__ import annotations

import os

# Before numpy reads them.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

import faiss
import numpy as np

from search_back.layout.clusters import cluster, suiting
from search_back.layout.maps import COMPONENTS
from search_back.layout.names import telling_words
from search_back.layout.pca import principal
from search_back.layout.tsne import tsne
from search_back.types import FloatArray
from search_back.vectors import normalise

T = TypeVar("T")
CENTRES, WORDS, NEAREST = 60, 5_000, 10


def seconds(run: Callable[[], T]) -> tuple[float, T]:
    began = time.thread_time()
    found = run()
    return round(time.thread_time() - began, 3), found


def nearest(rows: FloatArray) -> Any:
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    return index.search(rows, NEAREST + 1)[1][:, 1:]


def kept(rows: FloatArray, points: Any) -> float:
    pairs = zip(nearest(rows), nearest(np.ascontiguousarray(points, np.float32)), strict=True)
    return round(float(np.mean([len(set(a) & set(b)) for a, b in pairs])) / NEAREST, 3)


def measure(n: int, dimension: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    thing = rng.integers(0, CENTRES, n)
    centres = rng.standard_normal((CENTRES, dimension))
    meaning = rng.standard_normal((n, 12)) @ rng.standard_normal((12, dimension)) / 4
    rows = normalise(centres[thing] + meaning + rng.standard_normal((n, dimension)) / 2)
    said = [
        " ".join(f"word{'x' * (w % 7)}{chr(97 + w % 26)}" for w in ws)
        for ws in rng.zipf(1.3, (n, 10)) % WORDS
    ]
    pca_s, components = seconds(lambda: principal(rows, COMPONENTS))
    two_s, _ = seconds(lambda: principal(rows, 2))
    tsne_s, points = seconds(lambda: tsne(components, lambda: False))
    clusters_s, labels = seconds(lambda: cluster(components, suiting(n)))
    names_s, _ = seconds(lambda: telling_words(said, labels, int(labels.max()) + 1))
    return {
        "points": n,
        "pca_s": pca_s,
        "pca_to_two_s": two_s,
        "clusters_s": clusters_s,
        "names_s": names_s,
        "tsne_s": tsne_s,
        "neighbours": {"pca": kept(rows, components[:, :2]), "tsne": kept(rows, points)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[500, 2_000, 10_000])
    parser.add_argument("--dimension", type=int, default=512)
    options = parser.parse_args()
    tsne(principal(np.eye(12, dtype=np.float32), 2), lambda: True)  # imports it
    results: dict[str, Any] = {"maps": []}
    for n in options.points:
        results["maps"].append(measure(n, options.dimension))
        print(results["maps"][-1], file=sys.stderr)
    results["about"] = {
        "dimension": options.dimension,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "openTSNE": version("openTSNE"),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    json.dump(results, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
