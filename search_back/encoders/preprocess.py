"""Pictures to pixels as open_clip prepares them, with Pillow and numpy only."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from PIL import Image

from search_back.cores import usable_cores
from search_back.encoders.resize import FILTERS, Fit, ResizeMode, fit, resize, resize_box
from search_back.errors import ConfigError, InputError
from search_back.pictures import (
    MAX_PIXELS,
    JpegDraft,
    decoding,
    flatten,
    open_header,
    orientation,
    scale_jpeg,
    turned,
    turned_box,
    upright,
)
from search_back.types import FloatArray

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to a picture before the image tower.

    ``image_size``: (height, width); ``resize_mode``: ``shortest`` edge then centre crop,
    ``longest`` edge then padding with ``fill_color``, or ``squash`` to the size.

    Pixels equal open_clip's, except: a picture is turned upright first; transparency, palettes
    and 16 bits, see ``pixels``; slivers, see ``resize``.
    """

    image_size: tuple[int, int] = (224, 224)
    resize_mode: ResizeMode = "shortest"
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    fill_color: int = 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """From an encoder's description; sizes may be one number. Raises ``ConfigError``."""
        size = value.get("image_size", value.get("size", 224))
        height, width = (size, size) if isinstance(size, int) else size
        mode, name = value.get("resize_mode", "shortest"), value.get("interpolation", "bicubic")
        if mode not in ("shortest", "longest", "squash") or name not in FILTERS:
            raise ConfigError(
                "the model asks for a preprocessing that is not known",
                value=f"resize_mode {mode!r}, interpolation {name!r}",
            )
        return cls(
            image_size=(int(height), int(width)),
            resize_mode=cast("ResizeMode", mode),
            interpolation=name,
            mean=tuple(value.get("mean", OPENAI_MEAN)),
            std=tuple(value.get("std", OPENAI_STD)),
            fill_color=int(value.get("fill_color", 0)),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "image_size": list(self.image_size),
            "resize_mode": self.resize_mode,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
            "fill_color": self.fill_color,
        }

    def __call__(
        self, picture: bytes, *, max_pixels: int = MAX_PIXELS, draft: JpegDraft = "off"
    ) -> FloatArray:
        """A picture file's bytes → ``(3, height, width)`` float32.

        With ``draft``, large JPEGs are decoded at a smaller scale: two to three times as fast for
        pixels that differ by a fraction of a level of 255 on average. Raises ``BadPicture``,
        ``LimitExceeded``.
        """
        image = open_header(io.BytesIO(picture), max_pixels=max_pixels)
        with decoding():
            if draft == "off":
                return self.pixels(upright(image))
            return self._drafted(image, draft)

    def pixels(self, image: Image.Image) -> FloatArray:
        """A decoded picture → ``(3, height, width)`` float32, normalised.

        Colours are converted after resizing, as open_clip does, and without their ICC profile,
        as it does too; transparency is laid over white, palettes are resolved and 16 bits become
        8 before, since resizing would spoil them.
        """
        to = fit(image.size, self._target, self.resize_mode)
        return self._normalised(resize(flatten(image), to, self._filter), to)

    def _drafted(self, image: Image.Image, draft: JpegDraft) -> FloatArray:
        how = orientation(image)
        stored = image.size
        to = fit(stored[::-1] if how >= 5 else stored, self._target, self.resize_mode)
        box = scale_jpeg(image, to.size[::-1] if how >= 5 else to.size, draft)
        if image.size == stored:
            return self.pixels(upright(image))
        image.load()
        box = turned_box(box, image.size, how)
        part = resize_box(flatten(turned(image, how)), to, self._filter, box)
        return self._normalised(part, to)

    def _normalised(self, part: Image.Image, to: Fit) -> FloatArray:
        if part.size != self._target:
            bands = len(part.getbands())
            fill = self.fill_color if bands == 1 else (self.fill_color,) * bands
            canvas = Image.new(part.mode, self._target, fill)
            canvas.paste(part, to.offset)
            part = canvas
        levels = np.asarray(part.convert("RGB"))
        table = _table(self.mean, self.std)
        pixels = np.empty((3, *levels.shape[:2]), dtype=np.float32)
        for colour in range(3):
            # Levels are 0 … 255, so nothing is clipped; other modes of ``take`` copy first.
            np.take(table[colour], levels[..., colour], out=pixels[colour], mode="clip")
        return pixels

    @property
    def _target(self) -> tuple[int, int]:
        return self.image_size[1], self.image_size[0]

    @property
    def _filter(self) -> Image.Resampling:
        # open_clip does not hand its interpolation on in this one case.
        if self.resize_mode == "shortest" and self.image_size[0] != self.image_size[1]:
            return Image.Resampling.BICUBIC
        return FILTERS[self.interpolation]


@lru_cache(maxsize=32)
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> FloatArray:
    """What each level of each colour becomes: ``(3, 256)``, computed as a pixel would be."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    values = values - np.array(mean, dtype=np.float32)[:, None]
    table = np.broadcast_to(values / np.array(std, dtype=np.float32)[:, None], (3, 256))
    return np.ascontiguousarray(table)


def preprocess_all(
    preprocess: Callable[[bytes], FloatArray], pictures: Sequence[bytes], *, workers: int = 0
) -> list[FloatArray | InputError]:
    """``preprocess`` of each picture, in order; a bad one gives its error and harms no other.

    Several pictures are decoded in ``workers`` threads, which end with the call; 0: one for each
    core.
    """

    def one(picture: bytes) -> FloatArray | InputError:
        try:
            return preprocess(picture)
        except InputError as error:
            return error

    workers = min(workers or usable_cores(), len(pictures))
    if workers <= 1:
        return [one(picture) for picture in pictures]
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        return list(pool.map(one, pictures))
