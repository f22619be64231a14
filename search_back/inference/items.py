"""One picture with what belongs to it, before and after its bytes are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from search_back.inference.report import Failure

IMAGE_EXTENSIONS: Final = (
    *("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif"),
    *("heic", "heif", "hif"),
)
CAPTION_EXTENSION: Final = "txt"
METADATA_EXTENSION: Final = "json"

Blob = Callable[[], bytes]
"""Bytes, read when it is called, in whatever thread that is; raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a reader finds: parts that are still to be read.

    ``key`` names it in failures; ``image_path`` goes to the metadata. ``image`` is None where no
    picture is wanted, or in a scan.
    """

    key: str
    image_path: str | None
    image: Blob | None = None
    caption: Blob | None = None
    metadata: Blob | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the metadata."""

    image_path: str | None
    caption: str | None = None
    metadata: dict[str, Any] | None = None


class Reader(Protocol):
    """Where items come from.

    ``inputs``: absolute paths, for the manifest. ``image_root``: the folder that the
    pictures lie below, None where they are no files. ``scan_is_cheap``: whether a scan costs no
    more than listing names. ``notes``: sentences about the last pass that ended.
    """

    inputs: tuple[str, ...]
    image_root: str | None
    scan_is_cheap: bool
    notes: list[str]

    def items(self, *, scan: bool = False) -> Iterator[Item | Failure]:
        """Every item, always in the same order, and what could not be read among them.

        ``scan``: the same items without their pictures, for counting.
        """
        ...

    def nothing_found(self) -> tuple[str, str]:
        """What to say where there are no items: what was looked for where, and the remedy."""
        ...


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
