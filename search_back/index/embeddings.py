"""Reading an embeddings folder: partitions of float16 rows and the manifest beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_back.errors import BadFolder, CorruptFile
from search_back.files import EMBEDDING_FOLDERS, EMBEDDINGS_MANIFEST, METADATA_FOLDER, read_json
from search_back.types import EncoderIdentity, FloatArray, Modality
from search_back.vectors import normalise


@dataclass(frozen=True, slots=True)
class Vectors:
    """All partitions of one modality, memory-mapped, in the order of their numbers."""

    parts: tuple[Any, ...]
    dimension: int

    @property
    def count(self) -> int:
        return sum(len(p) for p in self.parts)

    def blocks(self, rows: int = 16_384, *, start: int = 0) -> Iterator[FloatArray]:
        """Every row from ``start`` once, in order, as ``(≤ rows, d)`` float32 of unit length.

        Unit length again: float16 rounded it, and similarities of 1.0001 would come of that. The
        next block is read while one is used.
        """
        return _ahead(normalise(part) for part in self._parts(rows, start))

    def _parts(self, rows: int, start: int) -> Iterator[Any]:
        for part in self.parts:
            for first in range(min(start, len(part)), len(part), rows):
                yield part[first : first + rows]
            start = max(0, start - len(part))

    def followed_by(self, other: Vectors) -> Vectors:
        """The rows of both."""
        return Vectors((*self.parts, *other.parts), self.dimension)

    def sample(self, n: int, *, seed: int = 0) -> tuple[FloatArray, np.ndarray[Any, Any]]:
        """``min(n, count)`` random rows and their numbers, rising."""
        rng = np.random.default_rng(seed)
        numbers = np.sort(rng.choice(self.count, size=min(n, self.count), replace=False))
        starts = np.cumsum([0, *(len(p) for p in self.parts)])
        rows = np.empty((len(numbers), self.dimension), dtype=np.float32)
        owner = np.searchsorted(starts, numbers, side="right") - 1
        for i, part in enumerate(self.parts):
            mine = owner == i
            rows[mine] = normalise(part[numbers[mine] - starts[i]])
        return rows, numbers


@dataclass(frozen=True, slots=True)
class EmbeddingsFolder:
    """What ``search-back inference`` (or clip-retrieval) left."""

    path: Path
    vectors: dict[Modality, Vectors]
    metadata: Path | None
    identity: EncoderIdentity | None
    manifest: dict[str, Any]


def open_embeddings(
    path: Path, *, image_subfolder: str | None = None, text_subfolder: str | None = None
) -> EmbeddingsFolder:
    """Open and check a folder. Raises ``BadFolder`` or ``CorruptFile``, which name the file."""
    if not path.is_dir():
        raise BadFolder("the embeddings folder does not exist", value=str(path))
    folders: dict[Modality, str] = {
        "image": image_subfolder or EMBEDDING_FOLDERS["image"],
        "text": text_subfolder or EMBEDDING_FOLDERS["text"],
    }
    vectors = {m: v for m, name in folders.items() if (v := _open_vectors(path / name))}
    if not vectors:
        raise BadFolder(
            "the folder holds no embeddings",
            value=str(path),
            remedy=f"it should hold {folders['image']}/*.npy or {folders['text']}/*.npy; "
            "run search-back inference first",
        )
    counts = {folders[m]: v.count for m, v in vectors.items()}
    if len(set(counts.values())) > 1:
        raise CorruptFile(
            f"the rows of {path} do not match",
            value=str(counts),
            remedy="run search-back inference again",
        )
    manifest_path = path / EMBEDDINGS_MANIFEST
    manifest = read_json(manifest_path) if manifest_path.is_file() else {}
    identity = manifest.get("encoder")
    metadata = path / METADATA_FOLDER
    return EmbeddingsFolder(
        path=path,
        vectors=vectors,
        metadata=metadata if any(metadata.glob("*.parquet")) else None,
        identity=EncoderIdentity.from_json(identity) if identity else None,
        manifest=manifest,
    )


def _open_vectors(folder: Path) -> Vectors | None:
    files = sorted(folder.glob("*.npy"), key=lambda f: (_number(f), f.name))
    if not files:
        return None
    parts: list[np.ndarray[Any, Any]] = []
    for file in files:
        try:
            part = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise CorruptFile(f"{file} is not an array of embeddings", value=str(error)) from error
        if part.ndim != 2:
            raise CorruptFile(f"{file} should be (n, d)", value=str(part.shape))
        if parts and part.shape[1] != parts[0].shape[1]:
            raise CorruptFile(
                f"{file} holds {part.shape[1]}-d vectors, {files[0].name} {parts[0].shape[1]}-d"
            )
        parts.append(part)
    return Vectors(tuple(parts), int(parts[0].shape[1]))


def _ahead(blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
    """The same, each made by another thread while the one before it is used."""
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = other.submit(next, blocks, None)
            yield block


def _number(file: Path) -> int:
    match = re.search(r"(\d+)$", file.stem)
    return int(match[1]) if match else -1
