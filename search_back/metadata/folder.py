"""The data files of a metadata folder, told apart by their first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from search_back.errors import BadFolder, CorruptFile

FileKind = Literal["parquet", "arrow", "hdf5"]
_MAGIC: Final[dict[bytes, FileKind]] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x89HDF\r\n\x1a\n": "hdf5",
}
_SUFFIXES: Final[dict[str, FileKind]] = {".parquet": "parquet", ".arrow": "arrow"}


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The files of one metadata folder; each tuple in the order of names, which defines the ids."""

    folder: Path
    parquet: tuple[Path, ...] = ()
    arrow: tuple[Path, ...] = ()

    @property
    def sources(self) -> tuple[Path, ...]:
        """Those that a cache is built from: Parquet where there is any."""
        return self.parquet or self.arrow


def kind_of(path: Path) -> FileKind | None:
    """What a file is, by its first bytes; None where it is nothing we know."""
    with open(path, "rb") as handle:
        start = handle.read(8)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def data_files(folder: Path) -> DataFiles:
    """The Parquet and Arrow IPC files of a folder.

    Hidden files and files of other kinds are passed over, but one that is called ``.parquet`` or
    ``.arrow`` and is neither raises ``CorruptFile``: leaving it out would shift every id after it.
    A folder that is not there has no files.
    """
    found: dict[str, list[Path]] = {"parquet": [], "arrow": [], "hdf5": []}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(".") or not path.is_file():
            continue
        kind = kind_of(path)
        if kind is not None:
            found[kind].append(path)
        elif path.suffix in _SUFFIXES:
            size = path.stat().st_size
            raise CorruptFile(
                f"{path} is not {'an Arrow' if path.suffix == '.arrow' else 'a Parquet'} file",
                value=f"{size} bytes" if size else "an empty file",
                remedy="restore it, or make it again",
            )
    return DataFiles(folder, tuple(found["parquet"]), tuple(found["arrow"]))


def need(files: tuple[Path, ...], kind: str, folder: Path) -> tuple[Path, ...]:
    """The files; raises ``BadFolder`` where there is none."""
    if not files:
        raise BadFolder(
            f"{folder} holds no {kind} files",
            remedy="give a folder with metadata, or another kind of metadata",
        )
    return files
