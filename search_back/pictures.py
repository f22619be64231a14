"""Decoding pictures safely: one place that opens bytes from outside."""

from __future__ import annotations

import io
from typing import IO, Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from search_back.config import Limits
from search_back.errors import BadPicture, LimitExceeded

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


def open_picture(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame, upright, decoded; in its own mode.

    The size is read from the header and checked before a pixel is decoded. Raises
    ``LimitExceeded`` past ``max_pixels``, ``BadPicture`` where it cannot be decoded.
    """
    image = open_header(io.BytesIO(data), max_pixels=max_pixels)
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        raise BadPicture(
            "the picture cannot be decoded", value=str(error), remedy="send a whole file"
        ) from error


def open_header(file: IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A picture whose header was read and checked; pixels are decoded when they are used."""
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LimitExceeded("max_picture_pixels", value=_bomb(error), maximum=max_pixels) from error
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        raise BadPicture(
            "the bytes are not a picture",
            remedy=f"send one of {', '.join(FORMATS)}",
        ) from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise LimitExceeded("max_picture_pixels", value=pixels, maximum=max_pixels)
    return image


def _bomb(error: Exception) -> int:
    digits = [int(word.strip("()")) for word in str(error).split() if word.strip("()").isdigit()]
    return digits[0] if digits else 0


def flatten(image: Image.Image) -> Image.Image:
    """Transparency over white, palettes to colours; other modes are left as they are."""
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and float pictures to 8 bits by their range, which ``convert`` would clip."""
    import numpy as np

    values = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values)
    top = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max(initial=1.0)))
    return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8), "L")
