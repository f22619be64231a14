"""Pictures in a remote folder and the folders below it, paired with captions by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal

from search_back.inference.items import (
    CAPTION_EXTENSION,
    IMAGE_EXTENSIONS,
    NO_RECORDS,
    Blob,
    Item,
    Unit,
    misnamed,
    storable,
)
from search_back.inference.readers.pairs import Found, pair, units_of
from search_back.inference.report import Failure
from search_back.remote import RemoteFile, RemoteFolder
from search_back.remote.addresses import shown


class RemoteFilesReader:
    """Walks a remote folder as ``FilesReader`` walks one of this machine.

    ``image_path`` of an item is the picture's address. Pictures and captions are read one by one,
    in whatever thread asks. For one thread.
    """

    scan: Literal["cheap", "costly", "never"] = "never"
    schema = NO_RECORDS
    waits = True

    def __init__(
        self, folder: RemoteFolder, *, pictures: bool = True, metadata: bool = False
    ) -> None:
        self._folder = folder
        self._pictures = pictures
        self._metadata = metadata
        self.image_root: str | None = None
        self.inputs: tuple[str, ...] = (shown(folder.url),)

    def units(self) -> Iterator[Unit]:
        lost: list[tuple[str, OSError]] = []

        def lose(folder: str, error: OSError) -> None:
            lost.append((folder, error))

        for folder, files in self._folder.walk(on_error=lose):
            yield from self._lost(lost)
            if "/." in folder.removeprefix(self._folder.url.rstrip("/")):
                continue
            named = {file.name: file for file in files if not file.name.startswith(".")}
            yield from units_of(shown(folder), self._items(named), partial(_stamp, named))
        yield from self._lost(lost)

    def nothing_found(self) -> tuple[str, str]:
        extensions = " ".join(IMAGE_EXTENSIONS) if self._pictures else CAPTION_EXTENSION
        thing = "picture" if self._pictures else "caption"
        return (
            f"no {thing} in {self.inputs[0]}",
            f"looked for {extensions}, in the folders below too",
        )

    def _items(self, named: Mapping[str, RemoteFile]) -> Iterator[Found]:
        def blob(name: str | None) -> Blob | None:
            return named[name].read if name else None

        for found in pair(sorted(named), pictures=self._pictures, metadata=self._metadata):
            key = shown(named[found.key].url)
            if not storable(key):
                yield misnamed(key), ()
                continue
            item = Item(
                key=key,
                image_path=shown(named[found.picture].url) if found.picture else None,
                image=blob(found.picture) if self._pictures else None,
                caption=blob(found.caption),
                metadata=blob(found.metadata),
            )
            used = [found.picture] if self._pictures else []
            yield item, tuple(n for n in (*used, found.caption, found.metadata) if n)

    def _lost(self, lost: list[tuple[str, OSError]]) -> Iterator[Unit]:
        for folder, error in lost:
            failure = Failure(shown(folder), "read", f"the folder cannot be read: {error.strerror}")
            yield from units_of(shown(folder), [(failure, ())], str)
        lost.clear()


def _stamp(named: Mapping[str, RemoteFile], name: str) -> str:
    return named[name].stamp
