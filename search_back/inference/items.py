"""What an input is made of: units, their entries, and the rows that come of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import pyarrow as pa

from search_back.inference.report import Failure

IMAGE_EXTENSIONS: Final = (
    *("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif"),
    *("heic", "heif", "hif"),
)
CAPTION_EXTENSION: Final = "txt"
METADATA_EXTENSION: Final = "json"

Blob = Callable[[], bytes]
"""Bytes, read when it is called, in whatever thread that is; raises ``OSError``."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Row ``row`` of ``batch``, whose columns are those of the reader's ``schema``."""

    batch: pa.RecordBatch
    row: int


@dataclass(frozen=True, slots=True)
class Item:
    """What a reader finds: parts that are still to be read.

    ``key`` names it in failures; ``image_path`` goes to the metadata. ``image`` is None where no
    picture is wanted, or in a scan. ``metadata``: a JSON object; ``record``: further columns.
    """

    key: str
    image_path: str | None
    image: Blob | None = None
    caption: Blob | None = None
    metadata: Blob | None = None
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of a picture before it is decoded.

    ``digest``: of its bytes; ``is_copy``: an earlier picture has the same.
    """

    digest: bytes
    is_copy: bool = False


Why = Literal["no picture", "no caption", "linked folder"]
"""What is passed over: a sample or row without the wished part; a link to a folder."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of the input that is no item, and no failure either."""

    why: Why


Entry = Item | Failure | Skipped


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A part of the input: a tar, a table, some files of a folder.

    ``stamp`` gives a text that changes when the unit does. ``entries`` gives what is in it, always
    in the same order; in a scan (True) the same without pictures, for counting. Close the
    iterator, or exhaust it.
    """

    name: str
    stamp: Callable[[], str]
    entries: Callable[[bool], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the metadata."""

    image_path: str | None
    caption: str | None = None
    metadata: dict[str, Any] | None = None
    record: Record | None = None


class Reader(Protocol):
    """Where items come from.

    ``inputs``: absolute paths, for the manifest. ``image_root``: the folder that the
    pictures lie below, None where they are no files. ``scan``: ``cheap`` where a scan costs no
    more than listing names, ``never`` where it would cost as much as the run. ``schema``: of the
    records of its items. ``waits``: whether blobs come from afar, so that several should be read
    at a time.
    """

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def image_root(self) -> str | None: ...

    @property
    def scan(self) -> Literal["cheap", "costly", "never"]: ...

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def waits(self) -> bool: ...

    def units(self) -> Iterator[Unit]:
        """Every unit, always in the same order; nothing is opened before its entries are read."""
        ...

    def nothing_found(self) -> tuple[str, str]:
        """What to say where there are no items: what was looked for where, and the remedy."""
        ...


def entries_of(reader: Reader, *, scan: bool = False) -> Iterator[Entry]:
    """The entries of all units."""
    for unit in reader.units():
        yield from unit.entries(scan)


NO_RECORDS: Final = pa.schema([])
"""The schema of a reader whose items have no records."""


def file_stamp(path: Path) -> str:
    """Size and time of change of a file; the error's name where there is none to be had."""
    try:
        found = path.stat()
    except OSError as error:
        return type(error).__name__
    return f"{found.st_size} {found.st_mtime_ns}"


def decode_caption(data: bytes) -> str:
    """UTF-8 with or without a byte order mark, outer blanks cut; raises ``ValueError``."""
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"the caption is not UTF-8 (byte {error.start}): convert it") from error


def decode_metadata(data: bytes) -> dict[str, Any]:
    """A JSON object whose every text can be stored; NaN and infinities become null.

    Raises ``ValueError``.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=lambda _: None)
        # Half a surrogate pair is valid JSON ("\ud800") but no text that a file can hold.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the metadata is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"the metadata is a JSON {type(value).__name__}, not an object")
    return value


def storable(text: str) -> bool:
    """Whether a name is valid Unicode; names on disk may be any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """``text`` with what is not valid Unicode written as ``\\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


def misnamed(path: str) -> Failure:
    """The failure of a file whose name cannot be stored."""
    return Failure(printable(path), "read", "the name is not valid UTF-8: rename it")
