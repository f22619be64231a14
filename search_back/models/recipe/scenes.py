"""What is in a training picture: which concepts, where, on which background, said how."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search_back.models.recipe.captions import BACKGROUNDS, Caption, CaptionMaker

Rgb = tuple[int, int, int]

MOST_THINGS = 3
"""Things in one picture, at most."""

_TWO = (
    ((0.27, 0.5), (0.73, 0.5)),
    ((0.5, 0.27), (0.5, 0.73)),
    ((0.28, 0.28), (0.72, 0.72)),
    ((0.72, 0.28), (0.28, 0.72)),
)
_THREE = (
    ((0.5, 0.26), (0.26, 0.73), (0.74, 0.73)),
    ((0.26, 0.27), (0.74, 0.27), (0.5, 0.73)),
    ((0.27, 0.27), (0.5, 0.5), (0.73, 0.73)),
)
_TWO_SIZE = (0.36, 0.58)
_THREE_SIZE = (0.34, 0.46)


@dataclass(frozen=True, slots=True)
class Placement:
    """One sprite: `sprite` is its number in the bank; centre and size are fractions of the side."""

    sprite: int
    x: float
    y: float
    size: float
    degrees: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One training picture with its two captions: one of all of it, one of a part."""

    concepts: tuple[int, ...]
    placements: tuple[Placement, ...]
    background: Rgb
    background_name: str | None
    caption: Caption
    part: Caption


class SceneMaker:
    """Draws scenes. `drawn` is `(styles, concepts)` bool; a sprite's number counts style by style.

    `favoured`: the share of things drawn in the first style; by default it is like any other.
    One random stream, not shared between threads.
    """

    def __init__(
        self,
        drawn: npt.NDArray[np.bool_],
        captions: CaptionMaker,
        rng: random.Random,
        *,
        favoured: float = 0.0,
    ) -> None:
        self._favoured = favoured
        self._captions = captions
        self._rng = rng
        self._concepts: int = drawn.shape[1]
        self._styles: list[list[int]] = [np.flatnonzero(column).tolist() for column in drawn.T]
        self._pool = [row for row, styles in enumerate(self._styles) if styles]

    def batch(self, size: int, composed: float) -> list[Scene]:
        """`size` scenes, about `composed` of them of two or three things.

        Some scenes repeat a concept of the scene before, so that a batch holds a thing alone and
        the same thing in company: hard negatives for captions of two things.
        """
        scenes: list[Scene] = []
        for _ in range(size):
            count = 1
            if self._rng.random() < composed:
                count = 3 if self._rng.random() < 0.15 else 2
            chosen = self._rng.sample(self._pool, count)
            if scenes and self._rng.random() < 0.15:
                shared = self._rng.choice(scenes[-1].concepts)
                if shared not in chosen:
                    chosen[0] = shared
            scenes.append(self._scene(chosen))
        return scenes

    def _scene(self, concepts: Sequence[int]) -> Scene:
        colour, name = self._background()
        placements = self._alone(concepts[0]) if len(concepts) == 1 else self._together(concepts)
        return Scene(
            concepts=tuple(concepts),
            placements=placements,
            background=colour,
            background_name=name,
            caption=self._captions.caption(concepts, name),
            part=self._captions.part(concepts),
        )

    def _background(self) -> tuple[Rgb, str | None]:
        draw, rng = self._rng.random(), self._rng
        if draw < 0.2:
            return (255, 255, 255), "white"
        if draw < 0.5:
            return (rng.randint(222, 255), rng.randint(222, 255), rng.randint(222, 255)), None
        if draw < 0.75:
            name = rng.choice(list(BACKGROUNDS))
            red, green, blue = (
                min(255, max(0, round(part + rng.gauss(0, 8)))) for part in BACKGROUNDS[name]
            )
            return (red, green, blue), name
        return (rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)), None

    def _alone(self, concept: int) -> tuple[Placement, ...]:
        rng, size = self._rng, self._rng.uniform(0.5, 1.08)
        room = max(0.02, 0.55 - 0.5 * size)
        x, y = 0.5 + rng.uniform(-room, room), 0.5 + rng.uniform(-room, room)
        return (Placement(self._sprite(concept), x, y, size, rng.gauss(0, 8)),)

    def _together(self, concepts: Sequence[int]) -> tuple[Placement, ...]:
        rng = self._rng
        layout = rng.choice(_TWO if len(concepts) == 2 else _THREE)
        size = rng.uniform(*(_TWO_SIZE if len(concepts) == 2 else _THREE_SIZE))
        return tuple(
            Placement(
                self._sprite(concept),
                x + rng.uniform(-0.06, 0.06),
                y + rng.uniform(-0.06, 0.06),
                size * rng.uniform(0.85, 1.12),
                rng.gauss(0, 8),
            )
            for concept, (x, y) in zip(concepts, layout, strict=True)
        )

    def _sprite(self, concept: int) -> int:
        styles = self._styles[concept]
        if self._favoured and styles[0] == 0 and self._rng.random() < self._favoured:
            return concept
        return self._rng.choice(styles) * self._concepts + concept
