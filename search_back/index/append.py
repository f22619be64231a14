"""Adding the rows of an embeddings folder to an index folder that is already served."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search_back.errors import BadFolder, ConfigError, EncoderMismatch, SearchBackError
from search_back.files import INDEX_FILES, INDEX_MANIFEST, read_json
from search_back.index.build import (
    BuildReport,
    BuildSettings,
    examined,
    files_of,
    publish_folder,
    use_cores,
)
from search_back.index.embeddings import EmbeddingsFolder, Vectors, open_embeddings
from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.fill import Progress, Silent, write
from search_back.index.graph import graph_path
from search_back.index.integrity import check_seal
from search_back.index.link import link, no_compiled_search
from search_back.index.manifest import inputs_of, sources_of
from search_back.index.rows import MetadataFiles, check_rows, followed_by, of_embeddings, of_index
from search_back.index.work import work_beside
from search_back.kernels import library
from search_back.types import MODALITIES, EncoderIdentity, Modality


def append(settings: BuildSettings, *, progress: Progress | None = None) -> BuildReport:
    """Publish the index folder with the new rows after its own, whose ids stay.

    The old folder is intact until then. Settings are tuned again where the embeddings of the
    older rows are still there, and kept otherwise. Raises ``BadFolder``, ``EncoderMismatch`` or
    ``CorruptFile`` for what cannot be added or added to.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    target = settings.index_folder
    if settings.factory:
        raise ConfigError(
            "an index keeps its kind when rows are added",
            value=settings.factory,
            remedy="leave out --factory, or build anew",
        )
    before = _manifest(target)
    source = open_embeddings(
        settings.embeddings_folder,
        image_subfolder=settings.image_subfolder,
        text_subfolder=settings.text_subfolder,
    )
    use_cores(settings.nb_cores)
    old = _open(target, before)
    _check(target, before, old, source)
    metadata = _metadata(target, old, source)
    notes: list[str] = []
    with work_beside(target, inputs_of(source.path, "append", str(before.get("created")))) as work:
        indices: dict[Modality, dict[str, Any]] = {}
        everything = _everything(before, old, source)
        if everything is None:
            notes.append(
                "the embeddings of the older rows are not where they were: "
                "search settings stay as they were tuned before"
            )
        for modality, index in old.items():
            new = source.vectors[modality]
            progress.start(f"{modality}: adding vectors", new.count)
            for block in new.blocks():
                index.raw.add(block)
                progress.advance(len(block))
            path = work.path / INDEX_FILES[modality]
            write(index.raw, path)
            if graph_path(target / path.name).is_file():
                if library() is None:
                    notes.append(f"{modality}: searched without its graph: {no_compiled_search()}")
                else:
                    link(index.raw, graph_path(path), progress=progress, name=modality)
            about = dict(before.get("indices", {}).get(modality, {}))
            about |= {
                **files_of(path),
                "kind": index.kind,
                "count": len(index),
                "dimension": index.dimension,
            }
            if everything is not None:
                about |= examined(
                    index.raw,
                    modality,
                    everything,
                    recall=float(about.get("target_recall_at_10", settings.recall)),
                    progress=progress,
                    path=path,
                )
            indices[modality] = about
        manifest = publish_folder(
            target,
            work,
            indices,
            metadata,
            source=source,
            command=settings.command,
            before=before,
        )
    return BuildReport(target, manifest, time.perf_counter() - began, tuple(notes))


def _manifest(target: Path) -> dict[str, Any]:
    if not target.is_dir():
        raise BadFolder(
            "there is no index to add to",
            value=str(target),
            remedy="build one first, without --append",
        )
    path = target / INDEX_MANIFEST
    return read_json(path) if path.is_file() else {}


def _open(target: Path, manifest: Mapping[str, Any]) -> dict[Modality, FaissIndex]:
    found: dict[Modality, FaissIndex] = {}
    for modality in MODALITIES:
        path = target / INDEX_FILES[modality]
        if path.is_dir():
            raise BadFolder(
                "rows cannot be added to an index whose lists lie in a file of their own",
                value=str(path),
                remedy="build the index again from all embeddings",
            )
        if path.is_file():
            check_seal(target, path.name, manifest)
            found[modality] = open_index(path).on_threads(0)
    if not found:
        raise BadFolder("the folder holds no index to add to", value=str(target))
    return found


def _check(
    target: Path,
    manifest: Mapping[str, Any],
    indices: Mapping[Modality, FaissIndex],
    source: EmbeddingsFolder,
) -> None:
    if set(indices) != set(source.vectors):
        raise BadFolder(
            f"the index holds {' and '.join(indices)} vectors",
            value=f"{' and '.join(source.vectors)} embeddings",
            remedy="add a folder that has the same, so that ids stay the same in all of them",
        )
    _check_encoder(manifest, source)
    for modality, index in indices.items():
        if index.dimension != source.vectors[modality].dimension:
            raise BadFolder(
                f"the index holds {index.dimension}-d vectors",
                value=f"{source.vectors[modality].dimension}-d embeddings",
                remedy="add embeddings of the same encoder",
            )
        if index.renumbers:
            raise BadFolder(
                f"{target / INDEX_FILES[modality]} numbers its vectors by itself",
                value=index.kind,
                remedy="build the index again from all embeddings",
            )


def _check_encoder(manifest: Mapping[str, Any], source: EmbeddingsFolder) -> None:
    recorded = manifest.get("encoder")
    ours = EncoderIdentity.from_json(recorded) if recorded else None
    theirs = source.identity
    if ours is None and theirs is None:
        return
    if ours is None or theirs is None or not ours.matches(theirs):
        raise EncoderMismatch(
            f"the index was made by {ours or 'an encoder that it does not name'}",
            value=str(theirs or "embeddings that do not name theirs"),
            remedy="add embeddings of the same encoder",
        )


def _metadata(
    target: Path, indices: Mapping[Modality, FaissIndex], source: EmbeddingsFolder
) -> MetadataFiles | None:
    ours = of_index(target)
    theirs = of_embeddings(source.metadata) if source.metadata is not None else None
    if ours is None and theirs is None:
        return None
    if ours is None or theirs is None:
        with_it, without = ("embeddings", "index") if ours is None else ("index", "embeddings")
        raise BadFolder(
            f"the {with_it} have metadata and the {without} have none"
            if ours is None
            else f"the {with_it} has metadata and the {without} have none",
            value=str(source.path),
            remedy="rows and vectors must stay as many: build the index again",
        )
    check_rows(ours, len(next(iter(indices.values()))), target)
    check_rows(theirs, next(iter(source.vectors.values())).count, source.path)
    return followed_by(ours, theirs)


def _everything(
    manifest: Mapping[str, Any],
    indices: Mapping[Modality, FaissIndex],
    source: EmbeddingsFolder,
) -> dict[Modality, Vectors] | None:
    """The vectors of old and new rows; None where those of the old are gone or are others."""
    result: dict[Modality, Vectors] = {}
    try:
        folders = [open_embeddings(Path(folder)) for folder in sources_of(manifest)]
    except SearchBackError:
        return None
    for modality, index in indices.items():
        parts = [f.vectors[modality] for f in folders if modality in f.vectors]
        if not parts or sum(v.count for v in parts) != len(index):
            return None
        whole = parts[0]
        for vectors in [*parts[1:], source.vectors[modality]]:
            whole = whole.followed_by(vectors)
        result[modality] = whole
    return result
