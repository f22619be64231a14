"""Pack the bundled pictures: every emoji in Noto's drawing, and composed scenes of them."""

from __future__ import annotations

import io
import json
import random
import re
import tarfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from search_back.files import publish
from search_back.models.recipe.chosen_scenes import CHOSEN_SCENES
from search_back.models.recipe.concepts import Concept
from search_back.models.recipe.sprites import noto_drawer
from search_back.models.recipe.work import WorkFolder

SCENES = 300
SCENE_SIDE = 256
SEED = 20
QUALITY = 55
"""Highest at which the tar stays below 12 MB; half of it is the tar format's own blocks."""
SOURCE = "Noto Color Emoji 2.042"
LICENCE = "OFL-1.1"

SCENE_GROUPS = frozenset(
    {"Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects",
     "Smileys & Emotion"}
)  # fmt: skip
SOFT_COLOURS: dict[str, tuple[int, int, int]] = {
    "blue": (190, 215, 250),
    "green": (198, 232, 202),
    "yellow": (255, 241, 184),
    "pink": (253, 214, 226),
    "purple": (222, 208, 245),
    "orange": (255, 221, 186),
    "gray": (222, 225, 230),
    "white": (255, 255, 255),
}
_TWO = (((76, 128), (180, 128)), ((128, 74), (128, 182)), ((78, 80), (178, 176)),
        ((178, 80), (78, 176)))  # fmt: skip
_THREE = (((128, 70), (70, 182), (186, 182)), ((70, 74), (186, 74), (128, 184)))
_LANGUAGES = ("de", "fr", "es", "ru")
_AND = {"de": "und", "fr": "et", "es": "y", "ru": "и"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of the tar: `KEY.jpg`, `KEY.txt`, `KEY.json`."""

    key: str
    picture: Image.Image
    caption: str
    described: dict[str, Any]


def pack_pictures(work: WorkFolder, concepts: Sequence[Concept], target: Path) -> None:
    """Write the tar: the same inputs and libraries give the same bytes."""
    drawer = noto_drawer(work.font)
    drawings = {
        row: drawing
        for row, concept in enumerate(tqdm(concepts, desc="pictures"))
        if (drawing := drawer(concept)) is not None
    }
    with publish(target) as part, tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in (*emoji_samples(concepts, drawings), *scene_samples(concepts, drawings)):
            add_sample(tar, sample)


def emoji_samples(
    concepts: Sequence[Concept], drawings: dict[int, Image.Image]
) -> Iterator[Sample]:
    """Each drawn concept alone on white, at the size of the font's bitmap."""
    for place, (row, drawing) in enumerate(drawings.items(), start=1):
        concept = concepts[row]
        picture = Image.new("RGB", drawing.size, "white")
        picture.paste(drawing, mask=drawing)
        names = {f"name_{language}": concept.names.get(language, "") for language in _LANGUAGES}
        yield Sample(
            f"emoji_{place:04d}_{slug(concept.name)}",
            picture,
            concept.name,
            {
                "name": concept.name,
                "keywords": concept.keywords["en"],
                **names,
                "group": concept.group,
                "subgroup": concept.subgroup,
                "emoji": concept.emoji,
                "codepoints": concept.codepoints,
                "kind": "emoji",
                "licence": LICENCE,
                "source": SOURCE,
            },
        )


def scene_samples(
    concepts: Sequence[Concept], drawings: dict[int, Image.Image]
) -> Iterator[Sample]:
    """Two or three things on a softly coloured ground: first those put together by hand."""
    rng = random.Random(SEED)  # noqa: S311
    rows = {concepts[row].name: row for row in drawings}
    pool = [row for row in drawings if _plain(concepts[row])]
    by_lot = [
        # Every sixth holds three things.
        rng.sample(pool, 3 if place % 6 == 0 else 2)
        for place in range(SCENES - len(CHOSEN_SCENES))
    ]
    by_hand = [[rows[name] for name in names] for names in CHOSEN_SCENES]
    colours = list(SOFT_COLOURS)
    for place, chosen in enumerate((*by_hand, *by_lot), start=1):
        things = [concepts[row] for row in chosen]
        colour = colours[place % len(colours)]
        picture = compose([drawings[row] for row in chosen], SOFT_COLOURS[colour], rng)
        keywords = [word for thing in things for word in (thing.name, *thing.keywords["en"])]
        names = {
            f"name_{language}": f" {_AND[language]} ".join(
                thing.names.get(language, thing.name) for thing in things
            )
            for language in _LANGUAGES
        }
        name = " and ".join(thing.name for thing in things)
        yield Sample(
            f"scene_{place:04d}_{'_'.join(slug(thing.name) for thing in things)}",
            picture,
            f"{name} on a {colour} background",
            {
                "name": name,
                "keywords": list(dict.fromkeys(keywords)),
                **names,
                "group": "Scenes",
                "subgroup": f"{len(things)} things",
                "emoji": "".join(thing.emoji for thing in things),
                "codepoints": [point for thing in things for point in thing.codepoints],
                "kind": "scene",
                "licence": LICENCE,
                "source": SOURCE,
            },
        )


def compose(
    drawings: Sequence[Image.Image], colour: tuple[int, int, int], rng: random.Random
) -> Image.Image:
    """Drawings with soft shadows on a ground that is a little lighter at the top."""
    picture = _ground(colour)
    layout = rng.choice(_TWO if len(drawings) == 2 else _THREE)
    side = rng.randint(104, 124) if len(drawings) == 2 else rng.randint(92, 104)
    for drawing, (x, y) in zip(drawings, layout, strict=True):
        cropped = drawing.crop(drawing.getbbox())
        scale = side / max(cropped.size)
        size = (max(1, round(cropped.width * scale)), max(1, round(cropped.height * scale)))
        placed = cropped.resize(size, Image.Resampling.LANCZOS)
        placed = placed.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True)
        left = x - placed.width // 2 + rng.randint(-6, 6)
        top = y - placed.height // 2 + rng.randint(-6, 6)
        shadow = Image.new("RGBA", picture.size)
        shadow.paste((40, 40, 60, 70), (left + 2, top + 5), placed)
        shadow = shadow.filter(ImageFilter.GaussianBlur(4))
        picture.paste(shadow, mask=shadow)
        picture.paste(placed, (left, top), placed)
    return picture


def _ground(colour: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (SCENE_SIDE, SCENE_SIDE))
    draw = ImageDraw.Draw(picture)
    for y in range(SCENE_SIDE):
        lighter = 0.35 * (1 - y / SCENE_SIDE)
        red, green, blue = (round(part + (255 - part) * lighter) for part in colour)
        draw.line([(0, y), (SCENE_SIDE, y)], fill=(red, green, blue))
    return picture


def add_sample(tar: tarfile.TarFile, sample: Sample) -> None:
    """Add picture, caption and description as three members with fixed owners and times."""
    image = io.BytesIO()
    sample.picture.save(image, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    described = json.dumps(sample.described, ensure_ascii=False, separators=(",", ":"))
    members = {
        "jpg": image.getvalue(),
        "txt": sample.caption.encode(),
        "json": described.encode(),
    }
    for extension, data in members.items():
        info = tarfile.TarInfo(f"{sample.key}.{extension}")
        info.size, info.mode = len(data), 0o644
        tar.addfile(info, io.BytesIO(data))


def read_pictures(tar_file: Path) -> list[Sample]:
    """Every picture of a WebDataset tar with its caption and description, in order."""
    parts: dict[str, dict[str, bytes]] = {}
    with tarfile.open(tar_file) as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            file = tar.extractfile(member)
            if file is not None:
                parts.setdefault(key, {})[extension] = file.read()
    return [
        Sample(
            key=key,
            picture=Image.open(io.BytesIO(part["jpg"])).convert("RGB"),
            caption=part["txt"].decode(),
            described=json.loads(part["json"]),
        )
        for key, part in parts.items()
    ]


def slug(name: str) -> str:
    """ASCII letters and digits joined by hyphens, at most 32 of them."""
    decomposed = unicodedata.normalize("NFKD", name.lower())
    letters = "".join(character for character in decomposed if character.isascii())
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:32].strip("-") or "unnamed"


def _plain(concept: Concept) -> bool:
    """Whether a concept is a thing whose name reads well in a caption of two."""
    if concept.group not in SCENE_GROUPS:
        return False
    return len(concept.name) <= 24 and ":" not in concept.name and "o’clock" not in concept.name
