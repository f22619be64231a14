"""Index folders as other tools leave them: plain faiss, Parquet, no description."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search_back.types import FloatArray
from search_back.vectors import normalise


def unit_rows(n: int, dimension: int = 16, *, seed: int = 0) -> FloatArray:
    """`(n, d)` float32, unit rows, the same for the same seed."""
    return normalise(np.random.default_rng(seed).standard_normal((n, dimension)))


def captions(n: int) -> pa.Table:
    """`image_path` and `caption`, which say the id."""
    return pa.table(
        {
            "image_path": [f"/nowhere/{i:06d}.jpg" for i in range(n)],
            "caption": [f"caption {i}" for i in range(n)],
        }
    )


def write_folder(
    folder: Path,
    vectors: FloatArray,
    table: pa.Table | None = None,
    *,
    factory: str = "Flat",
    text: FloatArray | None = None,
    partitions: int = 1,
) -> Path:
    """An index folder as clip-retrieval makes it; ids are the rows of `vectors`."""
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(plain_index(vectors, factory), str(folder / "image.index"))
    if text is not None:
        faiss.write_index(plain_index(text, "Flat"), str(folder / "text.index"))
    table = captions(len(vectors)) if table is None else table
    write_metadata(folder, table, partitions=partitions)
    return folder


def write_metadata(folder: Path, table: pa.Table, *, partitions: int = 1) -> None:
    (folder / "metadata").mkdir(exist_ok=True)
    cuts = np.linspace(0, table.num_rows, partitions + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(cuts.tolist())):
        path = folder / "metadata" / f"metadata_{number}.parquet"
        pq.write_table(table.slice(start, stop - start), path)


def plain_index(vectors: FloatArray, factory: str) -> Any:
    """Trained on one thread: faiss's threads wait for one another where cores are shared."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if factory.startswith("OPQ"):
            # Fifty rounds by default, most of the time of these tests.
            rotation = faiss.downcast_VectorTransform(index.chain.at(0))
            rotation.niter = 2
        index.train(vectors)
        if factory.startswith("IDMap"):
            index.add_with_ids(vectors, np.arange(len(vectors), dtype=np.int64))
        else:
            index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def write_on_disk(folder: Path, vectors: FloatArray, *, lists: int = 8) -> Path:
    """An IVF index as a folder: `populated.index` with its lists in `merged_index.ivfdata`."""
    target = folder / "image.index"
    target.mkdir(parents=True)
    index = faiss.index_factory(vectors.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    empty = faiss.clone_index(index)
    index.add(vectors)
    inverted = faiss.OnDiskInvertedLists(
        empty.nlist, empty.code_size, str(target / "merged_index.ivfdata")
    )
    inverted.merge_from_1(index.invlists)
    empty.replace_invlists(inverted)
    empty.ntotal = index.ntotal
    faiss.write_index(empty, str(target / "populated.index"))
    write_metadata(folder, captions(len(vectors)))
    return folder


def ids_of(items: Sequence[dict[str, Any]]) -> list[int]:
    return [item["id"] for item in items]
