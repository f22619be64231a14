"""Turn scenes into pictures, varied so that the drawing style matters little."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from search_back.models.recipe.scenes import Placement, Rgb, Scene
from search_back.models.recipe.sprites import DRAWING, SPRITE

IMAGE = 64
_OUTLINED = 0.12
_GREY = 0.04
_BLURRED = 0.12
_NOISE_POOL = 4_000_000


class Renderer:
    """Draws scenes from a bank of sprites `(n, 4, 72, 72)` uint8.

    Holds one random generator, so it is not shared between threads.
    """

    def __init__(self, bank: Tensor, seed: int) -> None:
        self._bank = bank
        self._rng = random.Random(seed)  # noqa: S311
        self._generator = torch.Generator().manual_seed(seed)
        self._noise = self._normal(_NOISE_POOL)

    def render(self, scenes: Sequence[Scene]) -> Tensor:
        """One varied picture for each scene, `(b, 3, 64, 64)` in [0, 1]."""
        pictures = self._ground([scene.background for scene in scenes])
        for place in range(max(len(scene.placements) for scene in scenes)):
            rows = [row for row, scene in enumerate(scenes) if len(scene.placements) > place]
            layer = self._layer([scenes[row].placements[place] for row in rows])
            colour, opacity = layer[:, :3].clamp(0, 1), layer[:, 3:]
            pictures[rows] = pictures[rows] * (1 - opacity) + colour
        return self._vary(pictures)

    def _ground(self, colours: Sequence[Rgb]) -> Tensor:
        """Backgrounds: one colour, some with a slope of brightness."""
        count = len(colours)
        flat = torch.tensor(colours, dtype=torch.float32)[:, :, None, None] / 255
        slope = self._normal(count, 2) * 0.12 * (self._uniform(count, 1) < 0.4)
        ramp = torch.linspace(-1, 1, IMAGE)
        shade = slope[:, :1, None] * ramp[:, None] + slope[:, 1:, None] * ramp
        return (flat + shade[:, None]).clamp(0, 1)

    def _layer(self, placements: Sequence[Placement]) -> Tensor:
        """Placed sprites with premultiplied colour, `(n, 4, 64, 64)`."""
        sprites = self._bank[torch.tensor([item.sprite for item in placements])].float() / 255
        sprites[:, :3] *= sprites[:, 3:]
        sprites = self._outline(sprites)
        sizes = torch.tensor([item.size for item in placements])
        # A sprite drawn small is sampled sparsely: smooth it first.
        small = sizes < 0.56
        if small.any():
            halved = functional.avg_pool2d(sprites[small], 2)
            sprites[small] = functional.interpolate(halved, scale_factor=2.0, mode="bilinear")
        grid = functional.affine_grid(
            self._transforms(placements, sizes), [len(placements), 4, IMAGE, IMAGE], False
        )
        return self._recolour(functional.grid_sample(sprites, grid, align_corners=False))

    def _outline(self, sprites: Tensor) -> Tensor:
        """Give some sprites a dark outline, as several emoji styles have."""
        rows = torch.nonzero(self._uniform(len(sprites)) < _OUTLINED).flatten()
        if len(rows):
            width = self._rng.choice((1, 2))
            opacity = sprites[rows, 3:]
            wider = functional.max_pool2d(opacity, 2 * width + 1, 1, width)
            ink = self._uniform(len(rows), 3, 1, 1) * 0.25
            sprites[rows] = torch.cat([sprites[rows, :3] + ink * (wider - opacity), wider], 1)
        return sprites

    def _transforms(self, placements: Sequence[Placement], sizes: Tensor) -> Tensor:
        """Inverse affine maps `(n, 2, 3)`: rotation, size, a little stretch and shear, centre."""
        count = len(placements)
        x = torch.tensor([item.x for item in placements]) * 2 - 1
        y = torch.tensor([item.y for item in placements]) * 2 - 1
        angle = torch.tensor([item.degrees for item in placements]) * (math.pi / 180)
        scale = sizes * (SPRITE / DRAWING)
        stretch = torch.exp(self._normal(count) * 0.08)
        shear = self._normal(count) * 0.06
        cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
        first = torch.stack([cosine * stretch, (sine + shear / scale) * stretch], 1)
        second = torch.stack([-sine / stretch, cosine / stretch], 1)
        linear = torch.stack([first, second], 1)
        return torch.cat([linear, -linear @ torch.stack([x, y], 1)[:, :, None]], 2)

    def _recolour(self, layer: Tensor) -> Tensor:
        """Vary saturation, brightness and tint of each sprite."""
        count = len(layer)
        saturation = 1 + self._normal(count, 1, 1, 1) * 0.28
        gain = torch.exp(self._normal(count, 1, 1, 1) * 0.12) * (
            1 + self._normal(count, 3, 1, 1) * 0.06
        )
        colour = layer[:, :3]
        grey = colour.mean(1, keepdim=True)
        colour = colour * (saturation * gain) + grey * ((1 - saturation) * gain)
        return torch.cat([colour, layer[:, 3:]], 1)

    def _vary(self, pictures: Tensor) -> Tensor:
        """Vary whole pictures: brightness, contrast, blur, grey, noise."""
        count = len(pictures)
        mean = pictures.mean((2, 3), keepdim=True)
        bright = torch.exp(self._normal(count, 1, 1, 1) * 0.1)
        contrast = torch.exp(self._normal(count, 1, 1, 1) * 0.15)
        pictures = pictures * (bright * contrast) + mean * (bright * (1 - contrast))
        blurred = self._uniform(count) < _BLURRED
        if blurred.any():
            halved = functional.avg_pool2d(pictures[blurred], 2)
            pictures[blurred] = functional.interpolate(halved, scale_factor=2.0, mode="bilinear")
        grey = self._uniform(count) < _GREY
        if grey.any():
            pictures[grey] = pictures[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
        start = self._rng.randrange(_NOISE_POOL - pictures.numel())
        noise = self._noise[start : start + pictures.numel()].view_as(pictures)
        return (pictures + noise * (0.025 * self._uniform(count, 1, 1, 1))).clamp(0, 1)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator)
