"""Opening an index folder: its vectors and its metadata."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from search_back.config import IndexOptions
from search_back.errors import BadFolder, ConfigError, CorruptFile, SearchBackError
from search_back.files import INDEX_FILES, INDEX_MANIFEST, METADATA_FOLDER, read_json
from search_back.index import (
    FaissIndex,
    SearchPlan,
    check_seal,
    graph_path,
    ivf_order,
    open_index,
)
from search_back.interfaces import MetadataStore, VectorIndex
from search_back.metadata import MetadataKind, NoMetadata, open_metadata
from search_back.services.mapped_files import MappedFiles
from search_back.types import MODALITIES, EncoderIdentity, IdArray, Modality

IMAGE_PATH: Final = "image_path"
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.05
_TELL_EVERY_S: Final = 5.0
_MAPPED_SUFFIXES: Final = frozenset({".index", ".graph", ".ivfdata", ".hdf5", ".arrow", ".feather"})
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FolderSnapshot:
    """An index folder, opened: the concrete ``Snapshot``.

    ``manifest``: what the build wrote about it; empty where another tool made it.
    """

    name: str
    version: str
    manifest: Mapping[str, Any]
    identity: EncoderIdentity | None
    indices: Mapping[Modality, VectorIndex]
    metadata: MetadataStore
    files: MappedFiles

    def check(self) -> None:
        """Raise ``CorruptFile`` where a file has shrunk since it was opened.

        A read behind the end of a mapped file would end the process.
        """
        self.files.check()

    def close(self) -> None:
        self.files.close()
        for index in self.indices.values():
            index.close()
        self.metadata.close()


def open_snapshot(name: str, options: IndexOptions) -> FolderSnapshot:
    """Open an index folder as it was at one moment; where it changes meanwhile, once more.

    Raises ``BadFolder`` or ``CorruptFile``, which name the file.
    """
    folder = options.indice_folder
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        version = _version(folder)
        try:
            snapshot = _open(name, options, version)
        except (SearchBackError, OSError):
            # Replacing a folder takes two renames: for a moment there is none.
            gone = attempt == 0 and not folder.is_dir()
            if _version(folder) == version and not gone:
                raise
            continue
        if _version(folder) == version:
            return snapshot
        snapshot.close()
    raise BadFolder(
        f"the folder of index {name!r} changes while it is opened",
        value=str(folder),
        remedy="wait for what writes there, then reload",
    )


def _open(name: str, options: IndexOptions, version: str) -> FolderSnapshot:
    folder = options.indice_folder
    manifest = _read_manifest(folder)
    indices: dict[Modality, FaissIndex] = {}
    for modality in MODALITIES:
        path = folder / INDEX_FILES[modality]
        if path.exists():
            for file in (path, graph_path(path)):
                check_seal(folder, file.name, manifest)
            indices[modality] = open_index(
                path,
                memory_mapping=options.enable_faiss_memory_mapping,
                plan=_search_plan(folder, manifest, modality),
                parallel=True,
            )
    if not indices:
        raise BadFolder(
            f"the folder of index {name!r} holds no index",
            value=str(folder),
            remedy="it should hold image.index or text.index; run search-back index first",
        )
    sizes = {INDEX_FILES[m]: len(i) for m, i in indices.items()}
    metadata = _open_metadata(folder, options, indices)
    if len(metadata) != max(sizes.values()):
        raise CorruptFile(
            f"the metadata of {folder} has {len(metadata)} rows",
            value=str(sizes),
            remedy="index and metadata were not made together: build the index again",
        )
    return FolderSnapshot(
        name=name,
        version=version,
        manifest=manifest,
        identity=_identity(folder, manifest),
        indices=indices,
        metadata=metadata,
        files=MappedFiles(_mapped(folder)),
    )


def _mapped(folder: Path) -> list[Path]:
    """The files of an index folder that may be mapped into memory."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MAPPED_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _version(folder: Path) -> str:
    """16 hex digits of the sizes and times of the files that hold vectors and rows.

    Not what the manifest says: another program's folder has none. Equal in all processes that
    serve the folder.
    """
    digest = hashlib.sha256()
    # os.walk takes no offence at a folder that goes while it is walked.
    files = (Path(inner, name) for inner, _, names in os.walk(folder) for name in names)
    for path in sorted(files):
        if path.name.startswith((".", "metadata.hdf5", "metadata_reo")):
            continue
        with suppress(FileNotFoundError):  # one that has just gone
            found = path.stat()
            if not S_ISREG(found.st_mode):
                continue
            line = f"{path.relative_to(folder)}\0{found.st_size}\0{found.st_mtime_ns}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _search_plan(folder: Path, manifest: Mapping[str, Any], modality: Modality) -> SearchPlan:
    try:
        about = manifest.get("indices", {}).get(modality, {})
        return SearchPlan.from_json(about.get("search", {}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _bad_manifest(folder, error) from error


def _identity(folder: Path, manifest: Mapping[str, Any]) -> EncoderIdentity | None:
    try:
        encoder = manifest.get("encoder")
        return EncoderIdentity.from_json(encoder) if encoder else None
    except (KeyError, TypeError, ValueError) as error:
        raise _bad_manifest(folder, error) from error


def recorded_encoder(folder: Path) -> EncoderIdentity | None:
    """The encoder that made the vectors of a folder, if its build wrote that down.

    Opens nothing else. Raises ``BadFolder``, ``CorruptFile``.
    """
    return _identity(folder, _read_manifest(folder))


def _bad_manifest(folder: Path, error: Exception) -> CorruptFile:
    return CorruptFile(
        f"{folder / INDEX_MANIFEST} does not describe an index",
        value=repr(error),
        remedy="restore it, or build the index again",
    )


def _open_metadata(
    folder: Path, options: IndexOptions, indices: Mapping[Modality, FaissIndex]
) -> MetadataStore:
    if not (folder / METADATA_FOLDER).is_dir() and not any(folder.glob("metadata*.hdf5")):
        LOGGER.warning("%s has no metadata: hits carry ids and similarities only", folder)
        return NoMetadata(max(len(index) for index in indices.values()))
    order = _order(folder, options, indices)
    kind: MetadataKind = "auto"
    if options.use_arrow:
        kind = "arrow"
    elif options.enable_hdf5 or order is not None:
        kind = "hdf5"
    # Answers carry these; any other may be asked for by a filter, a facet or a group.
    needed = list(dict.fromkeys((*options.columns_to_return, IMAGE_PATH)))
    told = _Told(folder)
    try:
        return open_metadata(folder, kind=kind, needed=needed, reorder=order, progress=told)
    except ConfigError as error:
        if order is None:
            raise
        LOGGER.warning("%s: the metadata stays in its order: %s", folder, error)
        return open_metadata(folder, kind=kind, needed=needed, progress=told)


class _Told:
    """How far metadata that is built at the first start has come, into the log now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last > _TELL_EVERY_S:
            self._last = now
            LOGGER.info("%s: metadata, %d of %d rows", self._folder, done, total)


def _order(
    folder: Path, options: IndexOptions, indices: Mapping[Modality, FaissIndex]
) -> Callable[[], IdArray] | None:
    """How to find the order of the image index's lists, where rows are to follow it."""
    if not options.reorder_metadata_by_ivf_index:
        return None
    index = indices.get("image") or next(iter(indices.values()))
    if index.ivf is None:
        LOGGER.warning(
            "%s: reorder_metadata_by_ivf_index does not apply to %s, which has no lists; "
            "the metadata stays in its order",
            folder,
            index.kind,
        )
        return None
    return lambda: ivf_order(index)


def _read_manifest(folder: Path) -> dict[str, Any]:
    """What the build wrote about a folder; empty for one that another tool made."""
    if not folder.is_dir():
        raise BadFolder("the index folder does not exist", value=str(folder))
    path = folder / INDEX_MANIFEST
    return read_json(path) if path.is_file() else {}
