"""Decoding pictures safely: one place that opens bytes from outside."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Final, Literal

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from search_back.config import Limits
from search_back.errors import BadPicture, LimitExceeded, SearchBackError

# A plugin that is not imported makes Pillow import all of them at the first unknown file.
FORMATS: Final = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
        AvifImagePlugin.AvifImageFile,
        PpmImagePlugin.PpmImageFile,
    )
)
MAX_PIXELS: Final = Limits().max_picture_pixels

JpegDraft = Literal["off", "close", "fast"]
"""At what scale a JPEG is decoded.

``off``: in full. ``close``: at the smallest of 1/2, 1/4, 1/8 that leaves twice the wanted size;
``fast``: at the smallest that leaves the wanted size.
"""
_DRAFT_ROOM: Final = {"close": 2, "fast": 1}

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""

_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEIF_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_AVIF_BRANDS: Final = (b"avif", b"avis")


def open_picture(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame, upright, decoded; in its own mode. An ICC profile is not applied.

    The size is read from the header and checked before a pixel is decoded. Raises
    ``LimitExceeded`` past ``max_pixels``, ``BadPicture`` where it cannot be decoded.
    """
    image = open_header(io.BytesIO(data), max_pixels=max_pixels)
    with decoding():
        return upright(image)


def open_header(file: IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A picture whose header was read and checked; pixels are decoded when they are used.

    Raises ``LimitExceeded`` past ``max_pixels``, ``BadPicture`` for anything that is no picture
    of a known format.
    """
    try:
        formats = FORMATS
        if _looks_like_heif(file):
            formats = (*_heif_formats(), *FORMATS)
        image = Image.open(file, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        own = 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)
        raise LimitExceeded(
            "max_picture_pixels", value=_bomb(error), maximum=min(max_pixels, own)
        ) from error
    except BadPicture:
        raise
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        raise BadPicture(
            "the bytes are not a picture",
            value=None if isinstance(error, UnidentifiedImageError) else str(error),
            remedy=f"send one of {', '.join((*FORMATS, *(_heif_formats(needed=False))))}",
        ) from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise LimitExceeded("max_picture_pixels", value=pixels, maximum=max_pixels)
    return image


@contextmanager
def decoding() -> Iterator[None]:
    """Makes ``BadPicture`` of whatever goes wrong with the pixels of a picture."""
    try:
        yield
    except SearchBackError:
        raise
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        raise BadPicture(
            "the picture cannot be decoded",
            value=str(error) or type(error).__name__,
            remedy="send a whole file",
        ) from error


def orientation(image: Image.Image) -> int:
    """How the stored pixels lie, 1 … 8, as EXIF counts; 1 is upright.

    Broken EXIF data says nothing about the pixels: 1.
    """
    if image.format == "TIFF":
        return 1  # Pillow turns these as it decodes them.
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is parsed from whatever bytes a file holds
        return 1
    return value if value in _TURNS else 1


def turned(image: Image.Image, how: int) -> Image.Image:
    """``image`` made upright, whose pixels lie as ``orientation`` told."""
    turn = _TURNS.get(how)
    return image if turn is None else image.transpose(turn)


def upright(image: Image.Image) -> Image.Image:
    """The pixels of an opened picture, decoded and upright."""
    image.load()
    return turned(image, orientation(image))


def turned_box(box: Box, size: tuple[float, float], how: int) -> Box:
    """Where ``box`` of a picture of ``size`` (width, height) lies once it is upright."""
    (left, top, right, bottom), (width, height) = box, size
    if how >= 5:
        left, top, right, bottom, width, height = top, left, bottom, right, height, width
    if how in (2, 3, 6, 7):
        left, right = width - right, width - left
    if how in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def scale_jpeg(image: Image.Image, least: tuple[int, int], draft: JpegDraft) -> Box:
    """Let a JPEG that is not decoded yet be decoded at a smaller scale, in the same mode.

    ``least``: the (width, height) that is wanted of the stored pixels. Returns the box that holds
    the whole picture: its last column and row may be partly padding. Other formats stay as they
    are.
    """
    scaled = None
    if draft != "off" and isinstance(image, JpegImagePlugin.JpegImageFile):
        room = _DRAFT_ROOM[draft]
        scaled = image.draft(None, (room * least[0], room * least[1]))
    return (0, 0, *image.size) if scaled is None else scaled[1]


def flatten(image: Image.Image) -> Image.Image:
    """Transparency over white, palettes to colours, 16 bits to 8; other modes stay as they are."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        if layer.getchannel("A").getextrema() == (255, 255):
            return layer.convert("RGB")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and float pictures to 8 bits by their range, which ``convert`` would clip.

    White is 65535 for whole numbers and 1 for others, or the greatest value where that is more.
    What is not a number becomes black.
    """
    import numpy as np

    values = np.array(image, dtype=np.float32)
    usual = 65535.0 if image.mode.startswith("I") else 1.0
    white = max(usual, float(np.max(values, where=np.isfinite(values), initial=0.0)))
    np.nan_to_num(values, copy=False, nan=0.0, posinf=white, neginf=0.0)
    np.multiply(values, np.float32(255.0 / white), out=values)
    return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8))


def _looks_like_heif(file: IO[bytes]) -> bool:
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if head[4:8] != b"ftyp" or head[8:12] not in _HEIF_BRANDS:
        return False
    # "mif1" leads files of both kinds; the brands that follow tell which.
    brands = [head[i : i + 4] for i in range(8, min(len(head), int.from_bytes(head[:4], "big")), 4)]
    return not any(brand in _AVIF_BRANDS for brand in brands)


@cache
def _register_heif() -> bool:
    """Teach Pillow HEIF where its plugin is installed; loading that takes a moment."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _heif_formats(*, needed: bool = True) -> tuple[str, ...]:
    if _register_heif():
        return ("HEIF",)
    if needed:
        raise BadPicture(
            "HEIC pictures cannot be read here", remedy="pip install 'search_back[heic]'"
        )
    return ()


def _bomb(error: Exception) -> int:
    digits = [int(word.strip("()")) for word in str(error).split() if word.strip("()").isdigit()]
    return digits[0] if digits else 0
