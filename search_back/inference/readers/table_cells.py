"""The pictures that the cells of a table hold or name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa

from search_back.errors import ConfigError
from search_back.inference.items import Blob, printable
from search_back.inference.readers.table_schema import is_bytes, values

Fetch = Callable[[str], bytes]
"""The bytes at a URL; raises what ``Blob`` may raise, or a ``SearchBackError``."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Picture:
    """``path``: where the picture lies, or lay when the table was made."""

    image: Blob
    path: str | None = None


Cell = Picture | ValueError | None
"""A picture, why there is none, or nothing."""


def pictures_of(column: pa.Array, *, folder: Path, fetch: Fetch | None) -> Iterator[Cell]:
    """What each cell stands for.

    Texts with a scheme are URLs, others are paths, relative to ``folder``. Raises ``ConfigError``
    at a URL where ``fetch`` is None.
    """
    column = values(column)
    if is_bytes(column.type):
        return _stored(column)
    if pa.types.is_struct(column.type):
        return _features(column, folder, fetch)
    return (_named(name, folder, fetch) for name in texts_of(column))


def texts_of(column: pa.Array) -> list[str | ValueError | None]:
    """The texts of a column, which readers of tables do not check."""
    return [_text(data) for data in bytes_of(column)]


def bytes_of(column: pa.Array) -> list[bytes | None]:
    """The texts of a column as they are stored."""
    found: list[bytes | None] = values(column).cast(pa.large_binary()).to_pylist()
    return found


def _stored(column: pa.Array) -> Iterator[Picture | None]:
    return (
        Picture(partial(_cell, column, row)) if there else None
        for row, there in enumerate(column.is_valid().to_pylist())
    )


def _features(column: pa.Array, folder: Path, fetch: Fetch | None) -> Iterator[Cell]:
    """Of Hugging Face's image feature: the bytes, or the picture at the path."""
    parts = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
    paths = texts_of(parts["path"]) if "path" in parts else [None] * len(column)
    for stored, path in zip(_stored(parts["bytes"]), paths, strict=True):
        if stored is None:
            yield _named(path, folder, fetch)
        else:
            yield Picture(stored.image, path if isinstance(path, str) and path else None)


def _named(name: str | ValueError | None, folder: Path, fetch: Fetch | None) -> Cell:
    if isinstance(name, ValueError):
        return name
    if name is None or not name.strip():
        return None
    if _SCHEME.match(name) is None:
        # For millions of rows pathlib is slow.
        path = os.path.join(folder, name.removeprefix("./"))  # noqa: PTH118
    elif name.lower().startswith("file://"):
        path = url2pathname(urlsplit(name).path)
    elif fetch is None:
        raise ConfigError(
            "the table names pictures by URL, and this run fetches none",
            value=name,
            remedy="download them first, for example with img2dataset",
        )
    else:
        return Picture(partial(fetch, name))
    return Picture(partial(_contents, path), path)


def _contents(path: str) -> bytes:
    return Path(path).read_bytes()


def _cell(column: pa.Array, row: int) -> bytes:
    data: bytes = column[row].as_py()
    return data


def _text(data: bytes | None) -> str | ValueError | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        shown = printable(data.decode("utf-8", "surrogateescape"))
        return ValueError(f"{shown!r} is not UTF-8: correct it")
