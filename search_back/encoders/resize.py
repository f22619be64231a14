"""Where a picture goes in a model's size, and resizing it there, as open_clip does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

from search_back.pictures import Box

ResizeMode = Literal["shortest", "longest", "squash"]
FILTERS: Final = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_REACH: Final = {Image.Resampling.BICUBIC: 2.0, Image.Resampling.BILINEAR: 1.0}
_MOST_PIXELS: Final = 2**24


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a picture goes: resized to ``size`` (width, height), of which ``crop`` is kept.

    ``crop`` is put at ``offset`` (left, top) of the model's size; what it leaves free is padding.
    """

    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    offset: tuple[int, int]


def fit(size: tuple[int, int], target: tuple[int, int], mode: ResizeMode) -> Fit:
    """Where a picture of ``size`` goes in ``target``, both (width, height).

    ``shortest``: the shortest edge fits, the other is cut around its centre. ``longest``: the
    longest edge fits, the other is padded on both sides and is never less than one pixel.
    """
    width, height = size
    if mode == "squash":
        resized = target
    elif mode == "shortest" and target[0] == target[1]:
        # The short side exactly, the long one cut to whole pixels: torchvision's rule.
        side, short = target[0], min(size)
        resized = (
            side if width == short else int(side * width / short),
            side if height == short else int(side * height / short),
        )
    else:
        pick = max if mode == "longest" else min
        ratio = pick(height / target[1], width / target[0])
        resized = max(1, round(width / ratio)), max(1, round(height / ratio))
    (left, wide, x), (top, tall, y) = map(_centre, resized, target)
    return Fit(resized, (left, top, left + wide, top + tall), (x, y))


def _centre(size: int, target: int) -> tuple[int, int, int]:
    """First pixel kept, how many are kept, and how much padding goes before them."""
    if size < target:
        return 0, size, (target - size) // 2
    return round((size - target) / 2.0), target, 0


def resize(image: Image.Image, to: Fit, method: Image.Resampling) -> Image.Image:
    """``to.crop`` of ``image`` resized to ``to.size``, the pixels of just that.

    Where more than 16 million pixels would be made on the way (with 224: a picture over 300 times
    as long as wide), only the crop is computed, see ``resize_box``.
    """
    wide, tall = to.size
    if wide * max(tall, image.height) > _MOST_PIXELS:
        return resize_box(image, to, method, (0, 0, *image.size))
    return image.resize(to.size, method).crop(to.crop)


def resize_box(image: Image.Image, to: Fit, method: Image.Resampling, box: Box) -> Image.Image:
    """As ``resize`` for the part ``box`` of ``image``, without computing what is cut off.

    A few pixels differ from those of ``resize``, in photographs by a level or two of 255: Pillow
    keeps boxes in single precision, and lets the sizes decide whether rows or columns are first.
    """
    x_scale, y_scale = (box[2] - box[0]) / to.size[0], (box[3] - box[1]) / to.size[1]
    left, top = box[0] + to.crop[0] * x_scale, box[1] + to.crop[1] * y_scale
    right, bottom = box[0] + to.crop[2] * x_scale, box[1] + to.crop[3] * y_scale
    # Small numbers keep more digits in single precision.
    x, x_end = _window(left, right, x_scale, image.width, method)
    y, y_end = _window(top, bottom, y_scale, image.height, method)
    if (x, y, x_end, y_end) != (0, 0, *image.size):
        image = image.crop((x, y, x_end, y_end))
    part = left - x, top - y, min(right - x, image.width), min(bottom - y, image.height)
    wide, tall = to.crop[2] - to.crop[0], to.crop[3] - to.crop[1]
    if wide * image.height > _MOST_PIXELS:  # Columns first would make too much of a sliver.
        image = image.resize((image.width, tall), method, box=(0, part[1], image.width, part[3]))
        part = (part[0], 0, part[2], tall)
    return image.resize((wide, tall), method, box=part)


def _window(
    start: float, end: float, scale: float, size: int, method: Image.Resampling
) -> tuple[int, int]:
    reach = _REACH[method] * max(scale, 1.0) + 2
    return max(0, math.floor(start - reach)), min(size, math.ceil(end + reach))
