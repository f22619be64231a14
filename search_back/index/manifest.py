"""What ``index.json`` tells of an index folder."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import search_back
from search_back.files import EMBEDDINGS_MANIFEST, sha256_file
from search_back.index.embeddings import EmbeddingsFolder
from search_back.index.integrity import CHECKSUMS, SEALS, seal
from search_back.types import Modality, fingerprint

FORMAT: Final = 2
SOURCES: Final = "embeddings_folders"


def described(
    folder: Path,
    indices: Mapping[Modality, Mapping[str, Any]],
    columns: Iterable[str],
    *,
    source: EmbeddingsFolder,
    command: str,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """The description of a folder that is complete but for it.

    ``before``: that of the folder to which rows were added; empty for a new one.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    checksums = {f.relative_to(folder).as_posix(): sha256_file(f) for f in files}
    return {
        "format": FORMAT,
        "encoder": source.identity.to_json() if source.identity else None,
        "image_root": before.get("image_root") or source.manifest.get("image_root"),
        "indices": indices,
        "columns": list(columns),
        CHECKSUMS: checksums,
        SEALS: {n: seal(folder / n) for about in indices.values() for n in vector_files(about)},
        SOURCES: [*sources_of(before), str(source.path.resolve())],
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "search_back": search_back.__version__,
        "faiss": _faiss_version(),
        "cores": os.cpu_count(),
    }


def vector_files(about: Mapping[str, Any]) -> list[str]:
    """The files of one index, of those that ``index.json`` tells about."""
    return [str(about[kind]) for kind in ("file", "graph") if about.get(kind)]


def sources_of(manifest: Mapping[str, Any]) -> list[str]:
    """The embeddings folders that an index was built from, in the order of its rows."""
    if SOURCES in manifest:
        return [str(folder) for folder in manifest[SOURCES]]
    older = manifest.get("embeddings_folder")
    return [str(older)] if older else []


def inputs_of(folder: Path, *settings: str) -> str:
    """What a build is made from, as 64 hex digits that change with every file and setting."""
    files = sorted([*folder.glob("*/*.npy"), folder / EMBEDDINGS_MANIFEST])
    found = {
        str(f.relative_to(folder)): [f.stat().st_size, f.stat().st_mtime_ns]
        for f in files
        if f.is_file()
    }
    return fingerprint(
        {
            "folder": str(folder.resolve()),
            "files": found,
            "settings": settings,
            "format": FORMAT,
            "faiss": _faiss_version(),
        }
    )


def _faiss_version() -> str:
    import faiss

    return str(faiss.__version__)
