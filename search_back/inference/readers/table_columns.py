"""Which columns of a table are the picture, the caption and the key."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from search_back.errors import ConfigError
from search_back.inference.items import IMAGE_EXTENSIONS
from search_back.inference.readers.table_schema import ColumnTypes, is_bytes, is_text

_PICTURE: Final = ("image", "img", "picture", "photo")
BYTES_NAMES: Final = (
    *_PICTURE,
    *IMAGE_EXTENSIONS,
    *("bytes", "image_bytes", "img_bytes", "image_data", "data", "content"),
)
PATH_NAMES: Final = (
    *("image_path", "img_path", "path", "file_path", "filepath"),
    *("image_file", "file_name", "filename", "file", *_PICTURE),
)
URL_NAMES: Final = (
    *("url", "image_url", "img_url", "image_link", "link", "uri", "image_uri"),
    *("image_urls", "urls"),
)
CAPTION_NAMES: Final = (
    *("caption", "text", "txt", "alt", "alt_text", "image_caption", "description", "title"),
    *("captions", "texts", "prompt", "top_caption"),
)
_SUCCESS_NAMES: Final = ("status", "error_message")

TEXT_NAMES: Final = frozenset((*PATH_NAMES, *URL_NAMES, *CAPTION_NAMES))
"""What is a text in a format that does not tell numbers from texts."""

Kind = Literal["bytes", "names"]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a part in a run; None: there is none.

    ``kind``: of the picture column: bytes, or names, which are paths and URLs. ``status``: a
    column of img2dataset's own; only rows with ``success`` there have a picture.
    """

    image: str | None
    kind: Kind
    caption: str | None
    key: str | None
    status: str | None


def choose_columns(
    types: ColumnTypes, *, image: str | None, caption: str | None, pictures: bool
) -> Columns:
    """The columns that are named, or else those whose names and types say it.

    Columns of bytes come before those of paths, those before URLs, each by ``BYTES_NAMES``,
    ``PATH_NAMES`` and ``URL_NAMES``, in capitals or not. Raises ``ConfigError`` where the column
    that the run is about, of pictures or (not ``pictures``) of captions, is not there.
    """
    kinds = {name: kind for name, kind in types.items() if not isinstance(kind, ConfigError)}
    if image is not None:
        picture: str | None = _named(types, image, "--image-column", holds_pictures)
    else:
        picture = _first(kinds, BYTES_NAMES, _is_picture_bytes)
        picture = picture or _first(kinds, (*PATH_NAMES, *URL_NAMES), is_text)
        picture = picture or _first(
            kinds, (*BYTES_NAMES, *PATH_NAMES, *URL_NAMES), pa.types.is_null
        )
    if caption is not None:
        words: str | None = _named(types, caption, "--caption-column", _may_be_text)
    else:
        others = {name: kind for name, kind in kinds.items() if name != picture}
        words = _first(others, CAPTION_NAMES, is_text)
        words = words or _first(others, CAPTION_NAMES, pa.types.is_null)
    if types and (picture if pictures else words) is None:
        thing, flag = (
            ("pictures", "--image-column") if pictures else ("captions", "--caption-column")
        )
        raise ConfigError(
            f"no column looks like one of {thing}",
            value=", ".join(f"{name} ({kind})" for name, kind in kinds.items()),
            remedy=f"name it: {flag}",
        )
    kind: Kind = "bytes" if picture is not None and _is_picture_bytes(kinds[picture]) else "names"
    made_by_img2dataset = kind == "bytes" and all(
        name in kinds and is_text(kinds[name]) for name in _SUCCESS_NAMES
    )
    return Columns(
        image=picture,
        kind=kind,
        caption=words,
        key=_first(kinds, ("key",), lambda kind: is_text(kind) or pa.types.is_integer(kind)),
        status="status" if made_by_img2dataset else None,
    )


def holds_pictures(kind: pa.DataType) -> bool:
    """Whether a column's type fits pictures: bytes, names, or Hugging Face's image feature."""
    return _is_picture_bytes(kind) or _may_be_text(kind)


def _is_picture_bytes(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return is_bytes(kind)
    at = kind.get_field_index("bytes")
    return at >= 0 and is_bytes(kind.field(at).type)


def _may_be_text(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_null(kind))


def _named(types: ColumnTypes, name: str, flag: str, fits: Callable[[pa.DataType], bool]) -> str:
    found = name if name in types else _first(types, (name.lower(),), lambda _: True)
    if found is None:
        near = difflib.get_close_matches(name, list(types), cutoff=0.4) or list(types)
        raise ConfigError(
            "the tables have no such column",
            value=name,
            remedy=f"give {flag} one of {', '.join(near)}",
        )
    kind = types[found]
    if isinstance(kind, ConfigError):
        raise kind
    if not fits(kind):
        wanted = "bytes, paths or URLs" if flag == "--image-column" else "texts"
        raise ConfigError(
            f"column {found!r} holds no {wanted}", value=str(kind), remedy=f"check {flag}"
        )
    return found


def _first(
    types: ColumnTypes, names: tuple[str, ...], fits: Callable[[pa.DataType], bool]
) -> str | None:
    by_name: dict[str, str] = {}
    for name, kind in types.items():
        if not isinstance(kind, ConfigError) and fits(kind):
            by_name.setdefault(name.lower(), name)
    return next((by_name[name] for name in names if name in by_name), None)
