"""Real inputs to check and calibrate an export with."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from search_back.errors import InputError, NothingToDo
from search_back.models import pictures_tar
from search_back.pictures import open_picture

_LEAST: Final = 2
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}


@dataclass(frozen=True, slots=True)
class Samples:
    """Bytes of picture files, and texts; at least two of each."""

    pictures: Sequence[bytes] = field(repr=False)
    texts: Sequence[str] = field(repr=False)


def bundled_samples(count: int = 64) -> Samples:
    """Pictures of the bundled collection, evenly spread, with their captions."""
    with tarfile.open(pictures_tar()) as tar:
        members = {member.name: member for member in tar}
        stems = sorted(Path(name).stem for name in members if name.endswith(".txt"))
        step = max(1, len(stems) // count)
        chosen = stems[::step][:count]
        return Samples(
            [_read(tar, members[f"{stem}.jpg"]) for stem in chosen],
            [_read(tar, members[f"{stem}.txt"]).decode() for stem in chosen],
        )


def folder_samples(folder: Path, count: int = 64) -> Samples:
    """Pictures of a folder, evenly spread, and captions beside any of them.

    Too few captions are made up with bundled ones. Raises ``NothingToDo`` for fewer than two
    pictures that can be read.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    named = [file for file in files if file.suffix.lower() in _SUFFIXES]
    found = (_picture(file) for file in _spread(named, 2 * count))
    pictures = [data for data in found if data is not None][:count]
    if len(pictures) < _LEAST:
        raise NothingToDo(
            f"{folder} holds fewer than {_LEAST} pictures", remedy="give another, or none"
        )
    captions = _spread([file for file in files if file.suffix == ".txt"], count)
    texts = [text for file in captions if (text := file.read_text("utf-8", "replace").strip())]
    texts += bundled_samples(max(_LEAST, count - len(texts))).texts
    return Samples(pictures, texts[:count])


def _spread(values: Sequence[Any], count: int) -> list[Any]:
    return list(values[:: max(1, len(values) // count)][:count])


def _picture(file: Path) -> bytes | None:
    """The bytes of a picture file; None for one that cannot be read."""
    data = file.read_bytes()
    try:
        open_picture(data)
    except InputError:
        return None
    return data


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
