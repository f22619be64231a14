"""Which pictures of the disk a server shows, and in what form; pictures sent as text."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

from search_back.access.thumbnails import (
    has_holes,
    shrink,
    to_jpeg,
    to_placeholder,
    to_webp,
    whole_jpeg,
)
from search_back.config import Limits
from search_back.errors import BadPicture, InvalidField, LimitExceeded
from search_back.interfaces import CacheObserver, nobody_looks
from search_back.pictures import open_header

JPEG: Final = "image/jpeg"
WEBP: Final = "image/webp"
BMP: Final = "image/bmp"

# What every current browser shows; anything else is shown as a thumbnail only.
BROWSER_TYPES: Final = {
    "AVIF": "image/avif",
    "BMP": BMP,
    "GIF": "image/gif",
    "JPEG": JPEG,
    "MPO": JPEG,
    "PNG": "image/png",
    "WEBP": WEBP,
}
# Of the room for thumbnails: of 64 bytes each, as many as there are thumbnails of 6 kB.
_PLACEHOLDERS_SHARE: Final = 100
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_DATA_PREFIX: Final = re.compile(r"\s*data:.*;\s*base64\s*", re.IGNORECASE)
_SPACE: Final = b" \t\r\n\v\f"


class PictureAccess:
    """The pictures under ``roots``, and no other file. Thread-safe.

    Paths are absolute, or relative to a root; links count as what they lead to. A picture of
    more than ``max_picture_pixels`` is never decoded. Thumbnails are kept, the latest used, up to
    ``cache_bytes``.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        limits: Limits,
        *,
        cache_bytes: int = 32 * 2**20,
        observer: CacheObserver = nobody_looks,
    ) -> None:
        self._observer = observer
        self._roots = tuple(Path(os.path.realpath(root)) for root in roots)
        self._limits = limits
        self._cache = _Cache(cache_bytes)
        self._placeholders = _Cache(cache_bytes // _PLACEHOLDERS_SHARE)

    def resolve(self, image_path: str) -> Path | None:
        """Where a picture that may be shown lies; None for anything else."""
        try:
            with self._open(image_path) as (path, _file, _image):
                return path
        except (BadPicture, LimitExceeded):
            return None

    def thumbnail(self, image_path: str, side: int) -> tuple[bytes, str]:
        """A picture within ``side`` × ``side`` pixels, upright, never larger than it is.

        JPEG, or WebP where it has transparency: the bytes and their MIME type. Raises
        ``BadPicture`` where there is no such picture, ``InvalidField``, ``LimitExceeded``.
        """
        maximum = self._limits.max_thumbnail_side
        if side < 1:
            raise InvalidField(
                "side", "side should be at least 1", value=side, remedy=f"give 1 … {maximum}"
            )
        if side > maximum:
            raise LimitExceeded("max_thumbnail_side", value=side, maximum=maximum)
        with self._open(image_path) as (path, file, image):
            key = _key(path, os.fstat(file.fileno()), side)
            kept = self._cache.get(key)
            self._observer(hit=kept is not None)
            if kept is None:
                small = shrink(image, side)
                is_whole = not has_holes(small)
                kept = (to_jpeg(small), JPEG) if is_whole else (to_webp(small), WEBP)
                self._cache.put(key, kept)
                if is_whole:
                    pixels = base64.b64encode(to_placeholder(small))
                    self._placeholders.put((*key[:3], 0), (pixels, BMP))
            return kept

    def placeholder(self, path: Path) -> str | None:
        """Base64 of what a picture that ``resolve`` found looks like from afar.

        48 bytes, as ``to_placeholder`` tells. None where no thumbnail of it was made lately, or
        where something shines through it.
        """
        try:
            kept = self._placeholders.get(_key(path, path.stat(), 0))
        except OSError:
            return None
        return None if kept is None else kept[0].decode("ascii")

    def original(self, image_path: str) -> tuple[Path, str]:
        """The file of a picture that browsers show, and its MIME type by content.

        Raises ``BadPicture`` for any other file.
        """
        with self._open(image_path) as (path, _file, image):
            mime = BROWSER_TYPES.get(str(image.format))
            if mime is None:
                raise BadPicture(
                    f"browsers do not show {image.format} pictures",
                    value=image_path,
                    remedy="ask for its thumbnail",
                )
            return path, mime

    def inline_jpeg(self, image_path: str) -> str | None:
        """Base64 of a JPEG within ``max_inline_side``; None where there is no such picture."""
        side = self._limits.max_inline_side
        try:
            with self._open(image_path) as (_path, file, image):
                data = whole_jpeg(file, image, side) or to_jpeg(shrink(image, side))
        except (BadPicture, LimitExceeded):
            return None
        return base64.b64encode(data).decode("ascii")

    @contextmanager
    def _open(self, image_path: str) -> Iterator[tuple[Path, io.BufferedReader, Image.Image]]:
        """The resolved path, the open file, the picture with its header read."""
        for path in self._candidates(image_path):
            file = _open_regular(path)
            if file is None:
                continue
            with file, _decoding(image_path):
                image = open_header(file, max_pixels=self._limits.max_picture_pixels)
                yield path, file, image
                return
        # One message for what is missing and what is not allowed: it tells nothing of the disk.
        raise BadPicture(
            "there is no such picture in the folders this server shows",
            value=image_path,
            remedy="check the path, or let the index name the folder in image_roots",
        )

    def _candidates(self, image_path: str) -> Iterator[Path]:
        for root in self._roots:
            try:
                path = Path(os.path.realpath(root / image_path))
            except (OSError, ValueError):
                continue
            if any(path.is_relative_to(allowed) for allowed in self._roots):
                yield path


def decode_base64_picture(text: str, limits: Limits) -> bytes:
    """The bytes of a picture sent as base64, with or without a ``data:…;base64,`` prefix.

    White space, the URL-safe alphabet and missing padding are tolerated. Raises
    ``InvalidField`` (field ``image``) where it is not base64, ``BadPicture`` where it is no
    picture, ``LimitExceeded`` for ``max_picture_bytes`` and ``max_picture_pixels``.
    """
    data = _decode_base64(text, limits.max_picture_bytes)
    try:
        with _decoding("image"):
            open_header(io.BytesIO(data), max_pixels=limits.max_picture_pixels)
    except BadPicture as error:
        raise BadPicture("image is not a picture", remedy=error.remedy) from error
    return data


def _decode_base64(text: str, maximum: int) -> bytes:
    wrong = InvalidField(
        "image",
        "image is not base64",
        value=text[:40],
        remedy="send the bytes of a picture file in base64, or data:image/…;base64,…",
    )
    head, comma, payload = text.partition(",")
    if comma and not _DATA_PREFIX.fullmatch(head):
        raise wrong
    try:
        raw = (payload if comma else text).encode("ascii").translate(_URL_SAFE, _SPACE).rstrip(b"=")
        size = len(raw) * 3 // 4
        if size > maximum:
            raise LimitExceeded("max_picture_bytes", value=size, maximum=maximum)
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise wrong from error
    if not data:
        raise wrong
    return data


def _open_regular(path: Path) -> io.BufferedReader | None:
    """The file, or None: a FIFO is not waited for, a link put there since is not followed."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return open(descriptor, "rb")


@contextmanager
def _decoding(image_path: str) -> Iterator[None]:
    try:
        yield
    except (BadPicture, LimitExceeded):
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file leads them to.
        raise BadPicture(
            "the picture cannot be decoded",
            value=image_path,
            remedy=f"replace the file ({type(error).__name__})",
        ) from error


Key = tuple[str, int, int, int]
Thumbnail = tuple[bytes, str]


def _key(path: Path, state: os.stat_result, side: int) -> Key:
    """A file that has changed is another one."""
    return str(path), state.st_mtime_ns, state.st_size, side


class _Cache:
    """Thumbnails, the least recently used dropped first. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, Thumbnail] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Key) -> Thumbnail | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Key, value: Thumbnail) -> None:
        with self._lock:
            if key in self._entries or len(value[0]) > self._max_bytes:
                return
            self._entries[key] = value
            self.size += len(value[0])
            while self.size > self._max_bytes:
                self.size -= len(self._entries.popitem(last=False)[1][0])
