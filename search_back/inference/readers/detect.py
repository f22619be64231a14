"""What an input looks like: pictures, tars or tables, and whether img2dataset wrote it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from search_back.errors import BadFolder, ConfigError
from search_back.inference.items import CAPTION_EXTENSION, IMAGE_EXTENSIONS
from search_back.inference.readers.pairs import split_name
from search_back.inference.readers.tables import TABLE_SUFFIXES, is_table
from search_back.inference.readers.tar import TAR_SUFFIXES, is_tar

Form = Literal["files", "webdataset", "table"]

_STATISTICS: Final = "_stats.json"
_NUMBERED: Final = re.compile(rf"\d+{_STATISTICS}")


def form_of(paths: Sequence[Path], *, pictures: bool) -> Form:
    """The format of an input whose format nobody named.

    Files tell it by their names. A folder with pictures (or, without ``pictures``, captions) in
    it, or in the folders below, is one of ``files``; otherwise one with tars is ``webdataset``, and
    one with tables, there or below, ``table``.
    """
    forms = {_form_of(path, pictures=pictures) for path in paths}
    return forms.pop() if len(forms) == 1 else "files"


def tars_in(folder: Path) -> list[Path]:
    """The tars of a folder, not those below it, by name."""
    return sorted(path for path in _shown(folder) if is_tar(path))


def tables_in(folder: Path) -> list[Path]:
    """The tables of a folder and the folders below it, by name.

    What begins with ``.`` or ``_`` is left out: programs put there what is not whole yet. Raises
    ``BadFolder`` where there are none, ``ConfigError`` where they are of several formats, since
    these may well hold the same rows.
    """
    found = sorted(path for path in _files_below(folder) if is_table(path))
    if not found:
        raise BadFolder(
            "no table in the folder",
            value=str(folder),
            remedy=f"give files that end in {' '.join(TABLE_SUFFIXES)}",
        )
    suffixes = sorted({path.name.lower().removesuffix(".gz").rsplit(".", 1)[1] for path in found})
    if len(suffixes) > 1:
        raise ConfigError(
            "the folder holds tables of several formats",
            value=str(folder),
            remedy=f"give the files of one of them by name: {', '.join(suffixes)}",
        )
    return found


def from_img2dataset(path: Path) -> bool:
    """Whether a folder or a tar lies beside the statistics that img2dataset writes."""
    if path.is_dir():
        return any(_NUMBERED.fullmatch(inside.name) for inside in _shown(path))
    suffix = next((s for s in TAR_SUFFIXES if path.name.lower().endswith(s)), "")
    stem = path.name[: len(path.name) - len(suffix)]
    return path.with_name(stem + _STATISTICS).is_file()


def _form_of(path: Path, *, pictures: bool) -> Form:
    if not path.is_dir():
        if is_tar(path):
            return "webdataset"
        return "table" if is_table(path) else "files"
    wanted = IMAGE_EXTENSIONS if pictures else (CAPTION_EXTENSION,)
    has_tables = False
    for file in _files_below(path, hidden="."):
        if split_name(file.name)[1] in wanted:
            return "files"
        has_tables = has_tables or is_table(file)
    if tars_in(path):
        return "webdataset"
    return "table" if has_tables and any(map(is_table, _files_below(path))) else "files"


def _shown(folder: Path) -> Iterator[Path]:
    # Not iterdir, which raises where a folder cannot be read: its reader tells that.
    _, _, names = next(os.walk(folder), ("", [], []))
    return (folder / name for name in names if not name.startswith("."))


def _files_below(folder: Path, *, hidden: str = "._") -> Iterator[Path]:
    """Files whose names, and those of their folders, begin with none of the characters."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] not in hidden)
        yield from (Path(root, name) for name in sorted(names) if name[0] not in hidden)
