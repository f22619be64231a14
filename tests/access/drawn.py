"""Pictures to show: drawn, encoded, opened again."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from tests.odd_pictures import png

RED, WHITE = (255, 0, 0), (255, 255, 255)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    return png((width, height), 8, 2, b"\0")


def halves(width: int = 80, height: int = 40, mode: str = "RGB") -> Image.Image:
    """White with a red left half."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height))
    return image.convert(mode)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def close(pixel: Any, expected: tuple[int, ...]) -> bool:
    return bool(np.allclose(pixel, expected, atol=12))
