"""Metadata beside the vectors of an index folder: parquet files whose sorted names give the ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from search_back.errors import BadFolder, CorruptFile
from search_back.files import METADATA_FOLDER


@dataclass(frozen=True, slots=True)
class MetadataFiles:
    """Where to copy from, by the name under the index folder; the columns; how many rows."""

    files: dict[str, Path]
    columns: tuple[str, ...]
    rows: int


def of_embeddings(folder: Path) -> MetadataFiles:
    """The partitions of an embeddings folder, in the order of their numbers."""
    files = sorted(folder.glob("*.parquet"), key=lambda f: (_number(f), f.name))
    names = [f.name for f in files]
    if names != sorted(names):
        # Numbers without leading zeros: as names, 10 would come before 2.
        width = len(str(len(files) - 1))
        names = [f"metadata_{i:0{width}}.parquet" for i in range(len(files))]
    return _described(dict(zip(names, files, strict=True)))


def of_index(folder: Path) -> MetadataFiles | None:
    """The files of an index folder; None where it has no metadata."""
    inside = folder / METADATA_FOLDER
    if not inside.is_dir() and not any(folder.glob("metadata*.hdf5")):
        return None
    files = sorted(inside.glob("*.parquet")) if inside.is_dir() else []
    if not files:
        raise BadFolder(
            "rows can only be added to metadata in parquet files",
            value=str(folder),
            remedy="build the index again from all embeddings",
        )
    return _described({f.name: f for f in files})


def followed_by(first: MetadataFiles, second: MetadataFiles) -> MetadataFiles:
    """Both, the names of the second sorting after those of the first."""
    if set(first.columns) != set(second.columns):
        raise BadFolder(
            "the metadata to add has other columns than the index",
            value=", ".join(second.columns),
            remedy=f"it should have {', '.join(first.columns)}",
        )
    last = max(first.files).removesuffix(".parquet")
    match = re.fullmatch(r"(.*)_added_(\d+)", last)
    stem, number = (match[1], int(match[2]) + 1) if match else (last, 0)
    added = {
        f"{stem}_added_{number + i:06}.parquet": path
        for i, path in enumerate(second.files.values())
    }
    return MetadataFiles({**first.files, **added}, first.columns, first.rows + second.rows)


def check_rows(metadata: MetadataFiles, vectors: int, folder: Path) -> None:
    """Raises ``CorruptFile`` where rows and vectors differ in number."""
    if metadata.rows != vectors:
        raise CorruptFile(
            f"the metadata of {folder} has {metadata.rows} rows",
            value=f"{vectors} vectors",
            remedy="run search-back inference again",
        )


def _described(files: dict[str, Path]) -> MetadataFiles:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: list[str] = []
    rows = 0
    for path in files.values():
        try:
            about = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise CorruptFile(f"{path} is not a parquet file", value=str(error)) from error
        with about:
            rows += about.metadata.num_rows
            columns += [c for c in about.schema_arrow.names if c not in columns]
    return MetadataFiles(files, tuple(columns), rows)


def _number(file: Path) -> int:
    match = re.search(r"(\d+)$", file.stem)
    return int(match[1]) if match else -1
