"""Which files of a folder belong together."""

from __future__ import annotations

import hashlib
import itertools
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from search_back.inference.items import (
    CAPTION_EXTENSION,
    IMAGE_EXTENSIONS,
    METADATA_EXTENSION,
    Entry,
    Unit,
)

PICTURES: Final = frozenset(IMAGE_EXTENSIONS)
_ENTRIES: Final = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """Names of files: a picture and what belongs to it. ``key``: what makes it an item."""

    key: str
    picture: str | None
    caption: str | None
    metadata: str | None


def pair(names: Sequence[str], *, pictures: bool, metadata: bool) -> Iterator[Pair]:
    """The items among the names of one folder, in the order of the names.

    Names belong together that are equal up to the last dot, in Unicode's composed form, since
    macOS writes them decomposed. Extensions may be in capitals. ``pictures``: every picture is an
    item; otherwise every caption, with the first picture of its name.
    """
    found: dict[str, dict[str, str]] = {"picture": {}, "caption": {}, "metadata": {}}
    keys: list[tuple[str, str]] = []
    wanted = "picture" if pictures else "caption"
    for name in names:
        stem, extension = split_name(name)
        kind = _kind(extension)
        if kind is None or (kind == "metadata" and not metadata):
            continue
        found[kind].setdefault(stem, name)
        if kind == wanted:
            keys.append((name, stem))
    for name, stem in keys:
        parts = {kind: of.get(stem) for kind, of in found.items()}
        parts[wanted] = name
        yield Pair(name, parts["picture"], parts["caption"], parts["metadata"])


def split_name(name: str) -> tuple[str, str]:
    """``A.b.JPG`` → ``("A.b", "jpg")``, the stem in Unicode's composed form."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122
    return unicodedata.normalize("NFC", stem), extension[1:].lower()


Found = tuple[Entry, tuple[str, ...]]
"""An entry and the names of the files that it is made of."""


def units_of(folder: str, found: Iterable[Found], stamp: Callable[[str], str]) -> Iterator[Unit]:
    """The entries of a folder in units of at most 1,000; ``stamp``: of a file by its name."""
    rest = iter(found)
    for number in itertools.count():
        part = list(itertools.islice(rest, _ENTRIES))
        if not part:
            return
        yield Unit(
            name=f"{folder} {number}",
            stamp=partial(_stamp, part, stamp),
            entries=partial(_entries, part),
        )


def _entries(found: Sequence[Found], _scan: bool) -> Iterator[Entry]:
    return (entry for entry, _ in found)


def _stamp(found: Sequence[Found], stamp: Callable[[str], str]) -> str:
    digest = hashlib.sha256()
    for entry, names in found:
        digest.update(type(entry).__name__.encode())
        for name in names:
            digest.update(f"\n{name}\0{stamp(name)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _kind(extension: str) -> str | None:
    if extension in PICTURES:
        return "picture"
    return {CAPTION_EXTENSION: "caption", METADATA_EXTENSION: "metadata"}.get(extension)
