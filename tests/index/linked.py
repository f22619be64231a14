"""An index with its graph of near neighbours, for the tests of making and of walking it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.fill import Silent
from search_back.index.graph import graph_path
from search_back.index.link import link
from search_back.index.plan import SearchPlan, SearchSettings
from search_back.types import FloatArray
from search_back.vectors import normalise

D, ROWS, K = 48, 4_000, 10
LINKED = SearchSettings(nprobe=16, ef_search=64, k_factor=4.0, seed_nprobe=4)


def vectors(seed: int, count: int = ROWS) -> FloatArray:
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(0).standard_normal((30, D))
    return normalise(middles[rng.integers(0, 30, count)] + 1.5 * rng.standard_normal((count, D)))


def made(precision: str) -> Any:
    raw = faiss.index_factory(
        D, f"IVF32,PQ{D // 2}x4fsr,Refine({precision})", faiss.METRIC_INNER_PRODUCT
    )
    raw.train(vectors(1))
    raw.add(vectors(1))
    return raw


def write_linked(path: Path, precision: str) -> None:
    raw = made(precision)
    faiss.write_index(raw, str(path))
    link(raw, graph_path(path), progress=Silent(), name="image")


def opened(folder: Path, settings: SearchSettings = LINKED) -> FaissIndex:
    plan = SearchPlan.of(settings)
    return open_index(folder / "image.index", memory_mapping=True, plan=plan)


def exact(index: FaissIndex, queries: FloatArray) -> FloatArray:
    """Similarities to what the index keeps of each vector."""
    similarities: FloatArray = queries @ index.reconstruct(np.arange(len(index))).T
    return similarities
