"""Pictures in a folder and the folders below it, paired with captions by name."""

from __future__ import annotations

import hashlib
import itertools
import os
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

from search_back.inference.items import (
    CAPTION_EXTENSION,
    IMAGE_EXTENSIONS,
    METADATA_EXTENSION,
    NO_RECORDS,
    Entry,
    Item,
    Skipped,
    Unit,
    file_stamp,
    misnamed,
    storable,
)
from search_back.inference.report import Failure

_PICTURES = frozenset(IMAGE_EXTENSIONS)
_UNIT: Final = 1000


class FilesReader:
    """Walks one folder: its files by name, then its folders by name, each the same way.

    A caption or a metadata file belongs to every picture of its folder that has the same name up
    to the last dot. Names are compared in Unicode's composed form, since macOS writes them
    decomposed. Extensions may be in capitals. Hidden files and folders, and what macOS leaves
    beside files (``._a.jpg``), are passed over; linked folders are not entered.

    ``pictures``: items are pictures; otherwise captions, each with the first picture of its name.
    A unit is at most 1,000 items of one folder. Only one folder's names are held at a time. For one
    thread.
    """

    scan: Literal["cheap", "costly", "never"] = "cheap"
    schema = NO_RECORDS

    def __init__(self, folder: Path, *, pictures: bool = True, metadata: bool = False) -> None:
        self._root = folder.resolve()
        self._pictures = pictures
        self._metadata = metadata
        self.image_root: str | None = str(self._root)
        self.inputs: tuple[str, ...] = (str(self._root),)

    def units(self) -> Iterator[Unit]:
        waiting = [str(self._root)]
        while waiting:
            folder = waiting.pop()
            found: list[_Found] = []
            try:
                with os.scandir(folder) as entries:
                    shown = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as error:
                reason = f"the folder cannot be read: {error.strerror}"
                yield _unit(folder, 0, [(Failure(folder, "read", reason), ())])
                continue
            files: list[str] = []
            folders: list[str] = []
            for entry in shown:
                if not entry.is_dir():
                    # A dangling link stays in: it fails by name when it is read.
                    if entry.is_file() or entry.is_symlink():
                        files.append(entry.name)
                elif entry.is_symlink():
                    found.append((Skipped("linked folder"), ()))
                else:
                    folders.append(entry.path)
            waiting += sorted(folders, reverse=True)
            several = itertools.chain(found, self._pair(folder, sorted(files)))
            for number in itertools.count():
                part = list(itertools.islice(several, _UNIT))
                if not part:
                    break
                yield _unit(folder, number, part)

    def nothing_found(self) -> tuple[str, str]:
        extensions = " ".join(IMAGE_EXTENSIONS) if self._pictures else CAPTION_EXTENSION
        remedy = f"looked for {extensions}, in the folders below too"
        if next(self._root.rglob("*.tar"), None):
            remedy += "; it holds tars: give --input-format webdataset"
        thing = "picture" if self._pictures else "caption"
        return f"no {thing} in {self._root}", remedy

    def _pair(self, folder: str, names: list[str]) -> Iterator[_Found]:
        pictures: dict[str, str] = {}
        captions: dict[str, str] = {}
        objects: dict[str, str] = {}
        keys: list[tuple[str, str]] = []
        wanted = _PICTURES if self._pictures else {CAPTION_EXTENSION}
        for name in names:
            stem, extension = split_name(name)
            if extension in wanted:
                keys.append((name, stem))
            if extension in _PICTURES:
                pictures.setdefault(stem, name)
            elif extension == CAPTION_EXTENSION:
                captions.setdefault(stem, name)
            elif extension == METADATA_EXTENSION and self._metadata:
                objects.setdefault(stem, name)
        for name, stem in keys:
            path = Path(folder, name)
            if not storable(str(path)):
                yield misnamed(str(path)), ()
                continue
            if not self._pictures:
                pictured = pictures.get(stem)
                image_path = str(Path(folder, pictured)) if pictured else None
                caption: str | None = name
            else:
                image_path = str(path)
                caption = captions.get(stem)
            extra = objects.get(stem)
            several = [name, caption, extra] if self._pictures else [name, extra]
            item = Item(
                key=str(path),
                image_path=image_path,
                image=path.read_bytes if self._pictures else None,
                caption=Path(folder, caption).read_bytes if caption else None,
                metadata=Path(folder, extra).read_bytes if extra else None,
            )
            yield item, tuple(one for one in several if one)


_Found = tuple[Entry, tuple[str, ...]]
"""An entry and the names of the files that it is made of."""


def _unit(folder: str, number: int, found: Sequence[_Found]) -> Unit:
    return Unit(
        name=f"{folder} {number}",
        stamp=partial(_stamp, folder, found),
        entries=lambda scan: (entry for entry, _ in found),
    )


def _stamp(folder: str, found: Sequence[_Found]) -> str:
    """Of names, sizes and times of change."""
    digest = hashlib.sha256()
    for entry, names in found:
        digest.update(type(entry).__name__.encode())
        for name in names:
            line = f"\n{name}\0{file_stamp(Path(folder, name))}"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def split_name(name: str) -> tuple[str, str]:
    """``A.b.JPG`` → ``("A.b", "jpg")``, the stem in Unicode's composed form."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122
    return unicodedata.normalize("NFC", stem), extension[1:].lower()
