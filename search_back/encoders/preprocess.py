"""Pictures to pixels as open_clip prepares them, with Pillow and numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from search_back.errors import ConfigError
from search_back.pictures import MAX_PIXELS, flatten, open_picture
from search_back.types import FloatArray

ResizeMode = Literal["shortest", "longest", "squash"]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to a picture before the image tower.

    ``image_size``: (height, width); ``resize_mode``: ``shortest`` edge then centre crop,
    ``longest`` edge then padding with ``fill_color``, or ``squash`` to the size.
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
        if mode not in ("shortest", "longest", "squash") or name not in _FILTERS:
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

    def __call__(self, picture: bytes, *, max_pixels: int = MAX_PIXELS) -> FloatArray:
        """A picture file's bytes → ``(3, height, width)`` float32; raises ``BadPicture``."""
        return self.pixels(open_picture(picture, max_pixels=max_pixels))

    def pixels(self, image: Image.Image) -> FloatArray:
        """A decoded picture → ``(3, height, width)`` float32, normalised.

        Colours are converted after resizing, as open_clip does; transparency is laid over white
        and palettes are resolved before, since resizing would spoil them.
        """
        image = self._resize(flatten(image)).convert("RGB")
        values = np.asarray(image, dtype=np.float32) / np.float32(255)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    def _resize(self, image: Image.Image) -> Image.Image:
        height, width = self.image_size
        method = _FILTERS[self.interpolation]
        if self.resize_mode == "squash":
            return image.resize((width, height), method)
        if self.resize_mode == "longest":
            ratio = max(image.height / height, image.width / width)
            image = image.resize(_at_least_one(image.width / ratio, image.height / ratio), method)
        elif height == width:
            short = min(image.size)
            # The short side exactly, the long one cut: torchvision's rule.
            wide, tall = (
                height if side == short else max(1, int(height * side / short))
                for side in image.size
            )
            image = image.resize((wide, tall), method)
        else:
            ratio = min(image.height / height, image.width / width)
            size = _at_least_one(image.width / ratio, image.height / ratio)
            image = image.resize(size, Image.Resampling.BICUBIC)
        return self._centre(image)

    def _centre(self, image: Image.Image) -> Image.Image:
        height, width = self.image_size
        if image.width < width or image.height < height:
            canvas = Image.new(
                image.mode,
                (max(width, image.width), max(height, image.height)),
                self.fill_color
                if len(image.getbands()) == 1
                else (self.fill_color,) * len(image.getbands()),
            )
            left, top = (canvas.width - image.width) // 2, (canvas.height - image.height) // 2
            canvas.paste(image, (left, top))
            image = canvas
        left = round((image.width - width) / 2.0)
        top = round((image.height - height) / 2.0)
        return image.crop((left, top, left + width, top + height))


def _at_least_one(width: float, height: float) -> tuple[int, int]:
    return max(1, round(width)), max(1, round(height))
