"""Pictures in a folder and the folders below it, paired with captions by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

from search_back.inference.items import (
    CAPTION_EXTENSION,
    IMAGE_EXTENSIONS,
    NO_RECORDS,
    Blob,
    Item,
    Skipped,
    Unit,
    file_stamp,
    misnamed,
    storable,
)
from search_back.inference.readers.pairs import Found, pair, units_of
from search_back.inference.report import Failure


class FilesReader:
    """Walks one folder: its files by name, then its folders by name, each the same way.

    A caption or a metadata file belongs to every picture of its folder that has the same name
    (``pair``). Hidden files and folders, and what macOS leaves beside files (``._a.jpg``), are
    passed over; linked folders are not entered.

    ``pictures``: items are pictures; otherwise captions, each with the first picture of its name.
    A unit is at most 1,000 items of one folder. Only one folder's names are held at a time. For one
    thread.
    """

    scan: Literal["cheap", "costly", "never"] = "cheap"
    schema = NO_RECORDS
    waits = False

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
            found: list[Found] = []
            try:
                with os.scandir(folder) as entries:
                    shown = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as error:
                reason = f"the folder cannot be read: {error.strerror}"
                failed = (Failure(folder, "read", reason), ())
                yield from units_of(folder, [failed], partial(_stamp, folder))
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
            paired = self._items(folder, sorted(files))
            yield from units_of(folder, chain(found, paired), partial(_stamp, folder))

    def nothing_found(self) -> tuple[str, str]:
        extensions = " ".join(IMAGE_EXTENSIONS) if self._pictures else CAPTION_EXTENSION
        remedy = f"looked for {extensions}, in the folders below too"
        if next(self._root.rglob("*.tar"), None):
            remedy += "; it holds tars: give --input-format webdataset"
        thing = "picture" if self._pictures else "caption"
        return f"no {thing} in {self._root}", remedy

    def _items(self, folder: str, names: list[str]) -> Iterator[Found]:
        for found in pair(names, pictures=self._pictures, metadata=self._metadata):
            key = str(Path(folder, found.key))
            if not storable(key):
                yield misnamed(key), ()
                continue
            item = Item(
                key=key,
                image_path=str(Path(folder, found.picture)) if found.picture else None,
                image=_blob(folder, found.picture) if self._pictures else None,
                caption=_blob(folder, found.caption),
                metadata=_blob(folder, found.metadata),
            )
            used = [found.picture] if self._pictures else []
            yield item, tuple(n for n in (*used, found.caption, found.metadata) if n)


def _blob(folder: str, name: str | None) -> Blob | None:
    return Path(folder, name).read_bytes if name else None


def _stamp(folder: str, name: str) -> str:
    return file_stamp(Path(folder, name))
