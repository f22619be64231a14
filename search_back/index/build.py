"""From an embeddings folder to an index folder: choose, train, add, measure, publish."""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import search_back
from search_back.errors import BadFolder, ConfigError
from search_back.files import (
    INDEX_FILES,
    INDEX_MANIFEST,
    METADATA_FOLDER,
    publish,
    sha256_file,
    write_json,
)
from search_back.index.choose import choose_factory, number_of_lists, parse_bytes
from search_back.index.embeddings import EmbeddingsFolder, Vectors, open_embeddings
from search_back.index.faiss_index import FaissIndex
from search_back.index.tune import tune
from search_back.types import Modality

FORMAT = 1
POINTS_PER_LIST_TRAINED = 64


class Progress(Protocol):
    """Told what is being done, and how much of it."""

    def start(self, step: str, total: int) -> None: ...

    def advance(self, n: int) -> None: ...


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What ``search-back index`` runs with. Memory in bytes or as text: ``4G``."""

    embeddings_folder: Path
    index_folder: Path
    max_index_memory_usage: str = "4G"
    current_memory_available: str = "16G"
    factory: str | None = None
    copy_metadata: bool = True
    image_subfolder: str | None = None
    text_subfolder: str | None = None
    nb_cores: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was built: the contents of ``index.json`` and the time it took."""

    folder: Path
    manifest: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = field(default=())


def build(settings: BuildSettings, *, progress: Progress | None = None) -> BuildReport:
    """Build every index the embeddings allow and publish the folder in one step.

    Raises ``BadFolder``, ``CorruptFile`` or ``ConfigError``; the target is then as it was.
    """
    import faiss

    began = time.perf_counter()
    progress = progress or _Silent()
    target = settings.index_folder
    _check_target(target, overwrite=settings.overwrite)
    budget = parse_bytes(settings.max_index_memory_usage, setting="max_index_memory_usage")
    available = parse_bytes(settings.current_memory_available, setting="current_memory_available")
    source = open_embeddings(
        settings.embeddings_folder,
        image_subfolder=settings.image_subfolder,
        text_subfolder=settings.text_subfolder,
    )
    if settings.nb_cores:
        faiss.omp_set_num_threads(settings.nb_cores)
    notes = []
    with publish(target) as part:
        part.mkdir(parents=True)
        indices = {}
        for modality, vectors in source.vectors.items():
            indices[modality] = _build_one(
                part / INDEX_FILES[modality],
                modality,
                source,
                factory=settings.factory
                or choose_factory(vectors.count, vectors.dimension, memory=budget),
                memory=available,
                progress=progress,
            )
        columns: list[str] = []
        if settings.copy_metadata and source.metadata is not None:
            columns = _copy_metadata(source.metadata, part / METADATA_FOLDER)
        else:
            notes.append("the index has no metadata: hits will carry ids and similarities only")
        if source.identity is None:
            notes.append("the embeddings do not say which encoder made them: give --clip-model")
        manifest = _manifest(source, indices, columns, part)
        write_json(part / INDEX_MANIFEST, manifest)
    return BuildReport(target, manifest, time.perf_counter() - began, tuple(notes))


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    ours = target.is_dir() and ((target / INDEX_MANIFEST).is_file() or any(target.glob("*.index")))
    if not ours:
        raise BadFolder(
            "the index folder holds something else",
            value=str(target),
            remedy="choose an empty or a new folder",
        )
    if not overwrite:
        raise BadFolder(
            "the index folder holds an index already",
            value=str(target),
            remedy="choose another folder, or replace it with --overwrite",
        )


def _build_one(
    path: Path,
    modality: Modality,
    source: EmbeddingsFolder,
    *,
    factory: str,
    memory: int,
    progress: Progress,
) -> dict[str, Any]:
    vectors = source.vectors[modality]
    index = _make(factory, vectors)
    if not index.is_trained:
        points = _training_points(index, vectors, memory)
        progress.start(f"{modality}: training {factory}", points)
        sample, _ = vectors.sample(points)
        index.train(sample)
        progress.advance(points)
    progress.start(f"{modality}: adding vectors", vectors.count)
    for block in vectors.blocks():
        index.add(block)
        progress.advance(len(block))
    built = FaissIndex(index, threads=0)
    progress.start(f"{modality}: measuring recall", 1)
    settings, measured = tune(built, vectors, source.vectors)
    progress.advance(1)
    built.write(path)
    return {
        "file": path.name,
        "factory": factory,
        "kind": built.kind,
        "count": vectors.count,
        "dimension": vectors.dimension,
        "bytes": path.stat().st_size,
        "search": {k: v for k, v in asdict(settings).items() if v is not None},
        "measured": measured.to_json(),
    }


def _make(factory: str, vectors: Vectors) -> Any:
    import faiss

    try:
        return faiss.index_factory(vectors.dimension, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise ConfigError(
            "faiss cannot make that index",
            value=factory,
            remedy=str(error).rsplit("Error: ", 1)[-1].strip(),
        ) from error


def _training_points(index: Any, vectors: Vectors, memory: int) -> int:
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    lists = int(ivf.nlist) if ivf is not None else number_of_lists(vectors.count)
    fitting = memory // (8 * vectors.dimension)  # the sample and faiss's copy of it
    return int(min(vectors.count, max(lists * POINTS_PER_LIST_TRAINED, 20_000), fitting))


def _copy_metadata(source: Path, target: Path) -> list[str]:
    import pyarrow.parquet as pq

    target.mkdir()
    columns: list[str] = []
    for file in sorted(source.glob("*.parquet")):
        shutil.copyfile(file, target / file.name)
        columns += [c for c in pq.read_schema(file).names if c not in columns]
    return columns


def _manifest(
    source: EmbeddingsFolder, indices: Mapping[Modality, Any], columns: list[str], folder: Path
) -> dict[str, Any]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        "format": FORMAT,
        "encoder": source.identity.to_json() if source.identity else None,
        "image_root": source.manifest.get("image_root"),
        "indices": indices,
        "columns": columns,
        "checksums": {f.relative_to(folder).as_posix(): sha256_file(f) for f in files},
        "embeddings_folder": str(source.path.resolve()),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "search_back": search_back.__version__,
        "cores": os.cpu_count(),
    }


class _Silent:
    def start(self, step: str, total: int) -> None: ...

    def advance(self, n: int) -> None: ...
