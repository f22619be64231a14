"""What an index folder tells of its quality, and measuring it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_back.errors import BadFolder, CorruptFile, SearchBackError
from search_back.files import INDEX_FILES, INDEX_MANIFEST, read_json
from search_back.index.embeddings import Vectors, open_embeddings
from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.graph import graph_path
from search_back.index.integrity import check_seal, verify
from search_back.index.manifest import sources_of
from search_back.index.measure import make_exams, measure
from search_back.index.plan import SearchPlan
from search_back.types import MODALITIES, FloatArray, Modality


@dataclass(frozen=True, slots=True)
class Score:
    """Of one index folder: by modality what ``index.json`` tells, or was measured now.

    ``checked``: files whose checksums were compared; None: they were not.
    """

    encoder: str | None
    indices: Mapping[Modality, Mapping[str, Any]]
    checked: int | None

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A table for people: a heading, then one row for each index and kind of query."""
        yield ("index", "vectors", "kind", "MB", "asked by", "R@1", "R@10", "R@100", "ms", "p95")
        for modality, about in self.indices.items():
            measured = about.get("measured", {})
            first = (
                modality,
                str(about["count"]),
                str(about.get("factory") or about["kind"]),
                f"{about['bytes'] / 1e6:.1f}",
            )
            for kind in measured.get("recall_at_10", {}) or ["-"]:
                shares = (_told(measured, f"recall_at_{k}", kind, digits=3) for k in (1, 10, 100))
                times = (_told(measured, f"{p}_ms", kind, digits=2) for p in ("p50", "p95"))
                yield (*first, kind, *shares, *times)

    def to_json(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "indices": self.indices, "checked": self.checked}


def score(
    folder: Path,
    *,
    measure_again: bool = False,
    embeddings: Sequence[Path] = (),
    check: bool = False,
) -> Score:
    """Read what was measured when the folder was built, or measure it again.

    ``embeddings``: folders whose rows the index holds, in that order; none: those it was built
    from, or its own vectors where they are exact. ``check``: compare all checksums. Raises
    ``BadFolder`` and ``CorruptFile``.
    """
    if not folder.is_dir():
        raise BadFolder("the index folder does not exist", value=str(folder))
    manifest = read_json(folder / INDEX_MANIFEST) if (folder / INDEX_MANIFEST).is_file() else {}
    checked = verify(folder, manifest) if check else None
    indices = {m: i for m in MODALITIES if (i := _open(folder, m, manifest)) is not None}
    if not indices:
        raise BadFolder("the folder holds no index", value=str(folder))
    about: dict[Modality, dict[str, Any]] = {}
    for modality, index in indices.items():
        path = folder / INDEX_FILES[modality]
        about[modality] = {
            "kind": index.kind,
            "count": len(index),
            "dimension": index.dimension,
            "bytes": _bytes(path) + _bytes(graph_path(path)),
            **manifest.get("indices", {}).get(modality, {}),
        }
    if measure_again:
        vectors = _vectors(folder, manifest, indices, embeddings)
        for modality, index in indices.items():
            exams = make_exams(vectors[modality], vectors)
            about[modality]["measured"] = measure(index.on_threads(0), exams).to_json()
    encoder = manifest.get("encoder") or {}
    return Score(encoder.get("name"), about, checked)


def _open(folder: Path, modality: Modality, manifest: Mapping[str, Any]) -> FaissIndex | None:
    path = folder / INDEX_FILES[modality]
    if not path.exists():
        return None
    for file in (path, graph_path(path)):
        check_seal(folder, file.name, manifest)
    plan = manifest.get("indices", {}).get(modality, {}).get("search", {})
    try:
        return open_index(path, memory_mapping=True, plan=SearchPlan.from_json(plan))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptFile(
            f"{folder / INDEX_MANIFEST} does not describe an index", value=repr(error)
        ) from error


def _vectors(
    folder: Path,
    manifest: Mapping[str, Any],
    indices: Mapping[Modality, FaissIndex],
    embeddings: Sequence[Path],
) -> dict[Modality, Vectors]:
    sources = embeddings or [Path(source) for source in sources_of(manifest)]
    try:
        found = [open_embeddings(source).vectors for source in sources]
    except SearchBackError:
        if embeddings:
            raise
        found = []
    result: dict[Modality, Vectors] = {}
    for modality, index in indices.items():
        parts = [v[modality] for v in found if modality in v]
        if parts and len(parts) == len(found):
            whole = parts[0]
            for vectors in parts[1:]:
                whole = whole.followed_by(vectors)
            _check_fit(whole, index, modality)
        elif index.is_exact:
            whole = Vectors((_Rows(index),), index.dimension)
        else:
            raise BadFolder(
                f"the {modality} index keeps no exact vectors to compare with",
                value=str(folder),
                remedy="give the embeddings that it was built from: --embeddings-folder",
            )
        result[modality] = whole
    return result


def _check_fit(vectors: Vectors, index: FaissIndex, modality: Modality) -> None:
    if (vectors.count, vectors.dimension) != (len(index), index.dimension):
        raise BadFolder(
            f"the {modality} index holds {len(index)} vectors of {index.dimension} dimensions",
            value=f"{vectors.count} embeddings of {vectors.dimension}",
            remedy="give all folders that it was built from, in their order",
        )


class _Rows:
    """The vectors of an index, read like a mapped array."""

    def __init__(self, index: FaissIndex) -> None:
        self._index = index
        self.shape = (len(index), index.dimension)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: Any) -> FloatArray:
        ids = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        return self._index.reconstruct(ids)


def _told(measured: Mapping[str, Any], name: str, kind: str, *, digits: int) -> str:
    value = measured.get(name)
    if isinstance(value, Mapping):
        value = value.get(kind)
    return "-" if value is None else f"{value:.{digits}f}"


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
