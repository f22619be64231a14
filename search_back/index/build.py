"""From an embeddings folder to an index folder: choose, train, add, tune, measure, publish."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_back.errors import BadFolder, ConfigError
from search_back.files import INDEX_FILES, INDEX_MANIFEST, METADATA_FOLDER, publish, write_json
from search_back.index.choose import LINKED_FROM, Choice, choose, parse_bytes
from search_back.index.embeddings import EmbeddingsFolder, Vectors, open_embeddings
from search_back.index.faiss_index import FaissIndex
from search_back.index.fill import Progress, Silent, filled
from search_back.index.graph import graph_path, open_graph
from search_back.index.link import link, no_compiled_search
from search_back.index.manifest import described, inputs_of, vector_files
from search_back.index.measure import make_exams, measure
from search_back.index.rows import MetadataFiles, check_rows, of_embeddings
from search_back.index.tune import tune
from search_back.index.work import WorkFolder, publish_links, work_beside
from search_back.kernels import library
from search_back.types import Modality


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What ``search-back index`` runs with. Memory in bytes or as text: ``4G``.

    ``graph``: whether to have a graph of near neighbours beside the index; None: of a large
    collection, where it fits. ``recall``: the share of the true ten neighbours to find;
    ``command``: what to record as the call that built the index; ``checkpoint_rows``: how many
    rows a killed build may lose.
    """

    embeddings_folder: Path
    index_folder: Path
    max_index_memory_usage: str = "4G"
    current_memory_available: str = "16G"
    factory: str | None = None
    graph: bool | None = None
    recall: float = 0.95
    copy_metadata: bool = True
    image_subfolder: str | None = None
    text_subfolder: str | None = None
    nb_cores: int | None = None
    overwrite: bool = False
    command: str = ""
    checkpoint_rows: int = 500_000


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was built: the contents of ``index.json`` and the time it took."""

    folder: Path
    manifest: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = field(default=())


def build(settings: BuildSettings, *, progress: Progress | None = None) -> BuildReport:
    """Build every index the embeddings allow and publish the folder in one step.

    A build that was killed goes on where it was when it is called again with the same inputs.
    Raises ``BadFolder``, ``CorruptFile`` or ``ConfigError``; the target is then as it was.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    target = settings.index_folder
    _check_target(target, overwrite=settings.overwrite)
    source = _open(settings)
    choices = {m: _choose(settings, v) for m, v in source.vectors.items()}
    metadata = None
    if settings.copy_metadata and source.metadata is not None:
        metadata = of_embeddings(source.metadata)
        check_rows(metadata, next(iter(source.vectors.values())).count, source.path)
    use_cores(settings.nb_cores)
    inputs = inputs_of(
        source.path,
        *(f"{m} {c.factory} {c.graph} {source.vectors[m].count}" for m, c in choices.items()),
        f"{settings.recall} {settings.nb_cores} {settings.current_memory_available}",
    )
    with work_beside(target, inputs) as work:
        _check_target(target, overwrite=settings.overwrite)  # a cut publication may be undone
        indices = {
            modality: build_one(
                work, modality, source.vectors, choice=choice, settings=settings, progress=progress
            )
            for modality, choice in choices.items()
        }
        manifest = publish_folder(
            target, work, indices, metadata, source=source, command=settings.command
        )
    notes = [f"{m}: {c.factory}: {c.reason}" for m, c in choices.items()]
    largest = max(vectors.count for vectors in source.vectors.values())
    if largest >= LINKED_FROM and settings.graph is None and library() is None:
        notes.append(f"searched through lists alone: {no_compiled_search()}")
    if metadata is None:
        notes.append("the index has no metadata: hits will carry ids and similarities only")
    if source.identity is None:
        notes.append("the embeddings do not say which encoder made them: give --clip-model")
    return BuildReport(target, manifest, time.perf_counter() - began, tuple(notes))


def build_one(
    work: WorkFolder,
    modality: Modality,
    vectors: Mapping[Modality, Vectors],
    *,
    choice: Choice,
    settings: BuildSettings,
    progress: Progress,
) -> dict[str, Any]:
    """Fill, tune and measure the index of one modality in the work folder: its description."""
    done = work.stage(modality)
    if done is not None:
        return done
    stored = vectors[modality]
    path = work.path / INDEX_FILES[modality]
    raw = filled(
        path,
        choice.factory,
        stored,
        memory=parse_bytes(settings.current_memory_available, setting="current_memory_available"),
        checkpoint_rows=settings.checkpoint_rows,
        progress=progress,
        name=modality,
    )
    if choice.graph:
        link(raw, graph_path(path), progress=progress, name=modality)
    about = examined(raw, modality, vectors, recall=settings.recall, progress=progress, path=path)
    about |= {"factory": choice.factory, "reason": choice.reason}
    work.finish(modality, about)
    return about


def examined(
    raw: Any,
    modality: Modality,
    vectors: Mapping[Modality, Vectors],
    *,
    recall: float,
    progress: Progress,
    path: Path,
) -> dict[str, Any]:
    """Tune and measure a filled index: what ``index.json`` tells of it."""
    stored = vectors[modality]
    graph = graph_path(path)
    index = FaissIndex(raw, threads=0, neighbours=open_graph(graph, raw))
    progress.start(f"{modality}: searching exactly, to compare with", stored.count)
    exams = make_exams(stored, vectors, advance=progress.advance)
    progress.start(f"{modality}: tuning and measuring recall", 1)
    plan = tune(index, exams, recall=recall)
    measured = measure(index.with_plan(plan), exams)
    progress.advance(1)
    return {
        **files_of(path),
        "kind": index.kind,
        "count": stored.count,
        "dimension": stored.dimension,
        "target_recall_at_10": recall,
        "search": plan.to_json(),
        "measured": measured.to_json(),
    }


def files_of(path: Path) -> dict[str, Any]:
    """What ``index.json`` tells of the files of an index."""
    graph = graph_path(path)
    found = [path, graph] if graph.is_file() else [path]
    return {
        "file": path.name,
        "graph": graph.name if graph in found else None,
        "bytes": sum(file.stat().st_size for file in found),
    }


def publish_folder(
    target: Path,
    work: WorkFolder,
    indices: Mapping[Modality, dict[str, Any]],
    metadata: MetadataFiles | None,
    *,
    source: EmbeddingsFolder,
    command: str,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Publish indices of the work folder with metadata: the contents of ``index.json``.

    ``before``: what the folder that is replaced told, where rows were added to it.
    """
    with publish(target) as part:
        part.mkdir(parents=True)
        names = [n for about in indices.values() for n in vector_files(about)]
        publish_links({name: work.path / name for name in names}, part)
        if metadata is not None:
            (part / METADATA_FOLDER).mkdir()
            copy(metadata, part / METADATA_FOLDER)
        columns = metadata.columns if metadata is not None else ()
        manifest = described(
            part, indices, columns, source=source, command=command, before=before or {}
        )
        write_json(part / INDEX_MANIFEST, manifest)
    return manifest


def copy(metadata: MetadataFiles, folder: Path) -> None:
    """Copy metadata files under their names."""
    import shutil

    for name, path in metadata.files.items():
        shutil.copyfile(path, folder / name)


def use_cores(cores: int | None) -> None:
    """How many threads faiss may use; None: all."""
    if cores:
        import faiss

        faiss.omp_set_num_threads(cores)


def _open(settings: BuildSettings) -> EmbeddingsFolder:
    return open_embeddings(
        settings.embeddings_folder,
        image_subfolder=settings.image_subfolder,
        text_subfolder=settings.text_subfolder,
    )


def _choose(settings: BuildSettings, vectors: Vectors) -> Choice:
    if not 0 < settings.recall <= 1:
        raise ConfigError("recall is a share", value=settings.recall, remedy="write it as 0.95")
    memory = parse_bytes(settings.max_index_memory_usage, setting="max_index_memory_usage")
    available = parse_bytes(settings.current_memory_available, setting="current_memory_available")
    if settings.graph and library() is None:
        raise no_compiled_search()
    if settings.factory:
        return Choice(settings.factory, 0, "as asked for", graph=bool(settings.graph))
    return choose(
        vectors.count,
        vectors.dimension,
        memory=memory,
        build_memory=available,
        recall=settings.recall,
        graph=settings.graph if library() is not None else False,
    )


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
            remedy="choose another folder, replace it with --overwrite, or add to it with --append",
        )
