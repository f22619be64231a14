"""Training an index and adding vectors to it, so that a killed build goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

from search_back.errors import ConfigError, CorruptFile
from search_back.files import publish
from search_back.index.coarse import place_centres, prepare
from search_back.index.embeddings import Vectors

POINTS_PER_LIST_TRAINED: Final = 48
POINTS_TRAINED: Final = 20_000  # at least, for the codes


class Progress(Protocol):
    """Told what is being done, and how much of it."""

    def start(self, step: str, total: int) -> None: ...

    def advance(self, n: int) -> None: ...


class Silent:
    """Nobody is told."""

    def start(self, step: str, total: int) -> None: ...

    def advance(self, n: int) -> None: ...


def filled(
    path: Path,
    factory: str,
    vectors: Vectors,
    *,
    memory: int,
    checkpoint_rows: int,
    progress: Progress,
    name: str,
) -> Any:
    """A faiss index of all vectors, which is also at ``path``.

    ``path`` holds the trained index, then one that is filled to some row: how many vectors it
    has says where to go on. ``memory``: bytes that a sample to train with may take;
    ``checkpoint_rows``: after how many rows to write, at least.
    """
    index = _unfinished(path, vectors)
    if index is None:
        index = make(factory, vectors.dimension)
        _train(index, vectors, memory, progress, f"{name}: training {factory}")
        write(index, path)
    add(index, vectors, path=path, every=checkpoint_rows, progress=progress, name=name)
    return index


def add(
    index: Any, vectors: Vectors, *, path: Path, every: int, progress: Progress, name: str
) -> None:
    """Add the vectors that an index lacks, and write it now and then and when it is done."""
    progress.start(f"{name}: adding vectors", vectors.count)
    progress.advance(int(index.ntotal))
    written = int(index.ntotal)
    for block in vectors.blocks(start=written):
        index.add(block)
        progress.advance(len(block))
        # Ever rarer, else a large index would spend its time on being written.
        if index.ntotal - written >= max(every, written // 2) and index.ntotal < vectors.count:
            write(index, path)
            written = int(index.ntotal)
    if index.ntotal != written:
        write(index, path)


def make(factory: str, dimension: int) -> Any:
    """An empty index of a factory string; raises ``ConfigError``."""
    import faiss

    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise ConfigError(
            "faiss cannot make that index",
            value=factory,
            remedy=str(error).rsplit("Error: ", 1)[-1].strip(),
        ) from error
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        prepare(ivf)
    return index


def write(index: Any, path: Path) -> None:
    """Publish an index as one file."""
    import faiss

    with publish(path) as part:
        faiss.write_index(index, str(part))


def _unfinished(path: Path, vectors: Vectors) -> Any | None:
    import faiss

    if not path.is_file():
        return None
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise CorruptFile(
            f"faiss cannot read {path}",
            value=str(error).rsplit("Error: ", 1)[-1].strip(),
            remedy="remove its folder, and build again",
        ) from error
    return index if index.ntotal <= vectors.count else None


def _train(index: Any, vectors: Vectors, memory: int, progress: Progress, step: str) -> None:
    import faiss

    if index.is_trained:
        return
    points = _training_points(index, vectors, memory)
    progress.start(step, points)
    sample, _ = vectors.sample(points)
    told = 0

    def advance(rows: int) -> None:
        nonlocal told
        told += rows
        progress.advance(rows)

    place_centres(index, sample, advance=advance)
    # k-means of codes is a thousand small steps, in which several threads wait for each other.
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index.train(sample)
    finally:
        faiss.omp_set_num_threads(threads)
    progress.advance(points - told)


def _training_points(index: Any, vectors: Vectors, memory: int) -> int:
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    lists = int(ivf.nlist) if ivf is not None else 1
    fitting = memory // (8 * vectors.dimension)  # the sample and faiss's copy of it
    return int(min(vectors.count, max(lists * POINTS_PER_LIST_TRAINED, POINTS_TRAINED), fitting))
