"""Small upright copies of pictures, as JPEG or WebP."""

from __future__ import annotations

import io
import math
from typing import Final

from PIL import Image, ImageOps

from search_back.pictures import flatten, orientation, turned

_QUALITY: Final = 85
_PLACEHOLDER: Final = (4, 4)


def shrink(image: Image.Image, side: int) -> Image.Image:
    """Decoded, upright, in 8 bits of grey, RGB or RGBA, within ``side`` × ``side``."""
    # A JPEG is decoded at the smallest scale that leaves twice the wanted size to filter.
    scale = 2 * side / max(image.size)
    image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
    how = orientation(image)
    profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = flatten(image)
        image = image if image.mode == "L" else image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    small = turned(image, how)
    small.info = {"icc_profile": profile} if profile else {}
    return small


def has_holes(image: Image.Image) -> bool:
    """Whether something would shine through."""
    return image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)


def to_jpeg(image: Image.Image) -> bytes:
    """What ``shrink`` made, over white where it has holes."""
    return _encode(flatten(image), "JPEG", image.info.get("icc_profile"))


def to_webp(image: Image.Image) -> bytes:
    """What ``shrink`` made, with its transparency."""
    return _encode(image, "WEBP", image.info.get("icc_profile"))


def to_placeholder(image: Image.Image) -> bytes:
    """The middle square of what ``shrink`` made as 4 × 4 pixels, from the top: blue, green, red.

    These are the pixels of a BMP of 4 × -4: behind its header they are a picture.
    """
    tiny = ImageOps.fit(flatten(image).convert("RGB"), _PLACEHOLDER, Image.Resampling.BOX)
    return tiny.tobytes("raw", "BGR")


def _encode(image: Image.Image, format_: str, profile: bytes | None) -> bytes:
    """Without EXIF: where a picture was taken is not for everyone who sees it small."""
    out = io.BytesIO()
    image.save(out, format_, quality=_QUALITY, icc_profile=profile)
    return out.getvalue()


def whole_jpeg(file: io.BufferedReader, image: Image.Image, side: int) -> bytes | None:
    """The file itself where it is a JPEG that needs no change: the cheapest and the best one.

    None where it is too large, turned, not in RGB or grey, cut short, or padded past its pixels.
    """
    if image.format != "JPEG" or image.mode not in ("L", "RGB") or max(image.size) > side:
        return None
    if orientation(image) != 1:
        return None
    most = 4096 + 3 * image.width * image.height
    file.seek(0)
    data = file.read(most + 1)
    file.seek(0)
    return data if len(data) <= most and data.endswith(b"\xff\xd9") else None
