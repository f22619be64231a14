"""Draw every concept in every style: small RGBA sprites that scenes are composed of."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from search_back.models.recipe.concepts import Concept, bare, hex_key
from search_back.models.recipe.work import WorkFolder

SPRITE = 72
"""Side of a sprite in pixels; the drawing itself fills `DRAWING` of them."""
DRAWING = 64

TRAINED_STYLES = ("noto", "noto_v1", "fluent_flat", "fluent", "fxemoji", "flags")
HELD_OUT_STYLES = ("twemoji", "openmoji")

NOTO_STRIKE = (136, 128)
"""Width and height of the bitmaps in the Noto Color Emoji font."""
_NOTO_POINT_SIZE = 109
_RASTER_WIDTH = 128

Drawer = Callable[[Concept], Image.Image | None]


@dataclass(frozen=True, slots=True)
class Sprites:
    """One style: `pixels` is `(n, 72, 72, 4)` uint8, `drawn` `(n,)` bool."""

    pixels: npt.NDArray[np.uint8]
    drawn: npt.NDArray[np.bool_]


def draw_sprites(work: WorkFolder, concepts: list[Concept], styles: Iterable[str]) -> None:
    """Write one `.npz` for each style that has none yet."""
    for style in styles:
        path = work.sprites(style)
        if path.exists():
            continue
        drawer = style_drawer(work, style)
        pixels = np.zeros((len(concepts), SPRITE, SPRITE, 4), np.uint8)
        drawn = np.zeros(len(concepts), np.bool_)
        for row, concept in enumerate(tqdm(concepts, desc=f"sprites {style}")):
            picture = drawer(concept)
            fitted = None if picture is None else fit(picture)
            if fitted is not None:
                pixels[row], drawn[row] = fitted, True
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, pixels=pixels, drawn=drawn)


def read_sprites(work: WorkFolder, style: str) -> Sprites:
    """Read what `draw_sprites` wrote."""
    with np.load(work.sprites(style)) as arrays:
        return Sprites(arrays["pixels"], arrays["drawn"])


def fit(picture: Image.Image) -> npt.NDArray[np.uint8] | None:
    """Crop to the drawing and centre it in a sprite; None where nothing is drawn."""
    picture = picture.convert("RGBA")
    box = picture.getbbox()
    if box is None:
        return None
    picture = picture.crop(box)
    scale = DRAWING / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SPRITE, SPRITE))
    canvas.paste(picture, ((SPRITE - width) // 2, (SPRITE - height) // 2))
    return np.asarray(canvas)


def style_drawer(work: WorkFolder, style: str) -> Drawer:
    """The function that draws a concept in `style`, or returns None where the style lacks it."""
    unpacked = work.unpacked
    match style:
        case "noto":
            return noto_drawer(work.font)
        case "noto_v1" | "fxemoji":
            return _icons_by_name(_icon_folder(unpacked, style))
        case "fluent_flat" | "fluent":
            # Both packages use the same icon names; only the flat one maps characters to them.
            characters = _read(_icon_folder(unpacked, "fluent_flat") / "chars.json")
            return _icons_by_character(_icon_folder(unpacked, style), characters)
        case "flags":
            return _flag_icons(_icon_folder(unpacked, style))
        case "twemoji":
            return _svg_files(unpacked / "twemoji/package", str.lower)
        case "openmoji":
            return _svg_files(unpacked / "openmoji/package/color/svg", str.upper)
    raise ValueError(f"unknown style {style!r}: expected one of {TRAINED_STYLES + HELD_OUT_STYLES}")


def noto_drawer(font_file: Path) -> Drawer:
    """Draws the font's own bitmaps, unscaled, centred on a transparent strike-sized canvas."""
    font = ImageFont.truetype(str(font_file), _NOTO_POINT_SIZE, layout_engine=ImageFont.Layout.RAQM)
    # A sequence that the font does not know falls apart into several glyphs, each as wide.
    widest = NOTO_STRIKE[0] * 1.1

    def draw(concept: Concept) -> Image.Image | None:
        for text in (concept.emoji, concept.bare):
            if 0 < font.getlength(text) <= widest:
                break
        else:
            return None
        canvas = Image.new("RGBA", (200, 200))
        ImageDraw.Draw(canvas).text((20, 20), text, font=font, embedded_color=True)
        box = canvas.getbbox()
        if box is None:
            return None
        drawing = canvas.crop(box)
        centred = Image.new("RGBA", NOTO_STRIKE)
        left, top = (
            (whole - part) // 2 for whole, part in zip(NOTO_STRIKE, drawing.size, strict=True)
        )
        centred.paste(drawing, (left, top))
        return centred

    return draw


def _icons_by_character(folder: Path, characters: dict[str, str]) -> Drawer:
    icons = _Icons(folder)
    by_key = {key.replace("-fe0f", ""): name for key, name in characters.items()}
    return lambda concept: icons.draw(by_key.get(hex_key(concept.bare)))


def _icons_by_name(folder: Path) -> Drawer:
    icons = _Icons(folder)
    by_name = {_letters(name): name for name in icons.names()}

    def draw(concept: Concept) -> Image.Image | None:
        spellings = [concept.name]
        if len(concept.bare) == 1:
            spellings.append(unicodedata.name(concept.bare, ""))
        for spelling in map(_letters, spellings):
            if spelling in by_name:
                return icons.draw(by_name[spelling])
        return None

    return draw


def _flag_icons(folder: Path) -> Drawer:
    icons = _Icons(folder)

    def draw(concept: Concept) -> Image.Image | None:
        code = flag_code(concept.emoji)
        return None if code is None else icons.draw(f"{code}-4x3")

    return draw


def flag_code(emoji: str) -> str | None:
    """Country (`de`) or subdivision (`gb-eng`) code of a flag emoji, None for anything else."""
    points = [ord(character) for character in bare(emoji)]
    if len(points) == 2 and all(0x1F1E6 <= point <= 0x1F1FF for point in points):
        return "".join(chr(point - 0x1F1E6 + ord("a")) for point in points)
    if points[0] == 0x1F3F4 and points[-1] == 0xE007F:
        tag = "".join(chr(point - 0xE0000) for point in points[1:-1])
        return f"{tag[:2]}-{tag[2:]}"
    return None


def _svg_files(folder: Path, case: Callable[[str], str]) -> Drawer:
    def draw(concept: Concept) -> Image.Image | None:
        for text in (concept.emoji, concept.bare):
            file = folder / f"{case(hex_key(text))}.svg"
            if file.exists():
                return rasterise(file.read_text(encoding="utf-8"))
        return None

    return draw


class _Icons:
    """An icon set in the Iconify JSON format."""

    def __init__(self, folder: Path) -> None:
        self._set: dict[str, Any] = _read(folder / "icons.json")

    def names(self) -> list[str]:
        return [*self._set.get("aliases", {}), *self._set["icons"]]

    def draw(self, name: str | None) -> Image.Image | None:
        aliases = self._set.get("aliases", {})
        while name in aliases:
            name = aliases[name]["parent"]
        icon = self._set["icons"].get(name)
        if icon is None:
            return None
        box = [icon.get(side, self._set.get(side, 16)) for side in ("width", "height")]
        return rasterise(
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {box[0]} {box[1]}">{icon["body"]}</svg>'
        )


def rasterise(svg: str) -> Image.Image:
    """Draw an SVG at 128 pixels width."""
    import resvg_py

    data = resvg_py.svg_to_bytes(svg_string=svg, width=_RASTER_WIDTH, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data)))


def _icon_folder(unpacked: Path, key: str) -> Path:
    return unpacked / key / "package"


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(c for c in decomposed if c.isascii() and c.isalnum())


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
