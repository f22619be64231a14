"""Curated queries over the bundled pictures: what people would type, and what should come.

They are for measuring: no caption is made from this list. Training knows names, keywords and the
general category words, so a query here may coincide with one of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CuratedQuery:
    """A text and what counts as an answer.

    An answer's subgroup starts with one of `subgroups`, or all words of `words` are among the words
    of its name and keywords (for a scene, that is of all things in it). `scene` asks for a scene.
    """

    text: str
    kind: str
    subgroups: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    scene: bool = False

    def accepts(self, described: Mapping[str, Any]) -> bool:
        """Whether the picture with this description answers the query."""
        if self.scene != (described["kind"] == "scene"):
            return False
        if self.subgroups:
            return str(described["subgroup"]).startswith(self.subgroups)
        spoken = " ".join([str(described["name"]), *described["keywords"]]).lower()
        return set(self.words) <= set(spoken.replace(":", " ").split())


def _name(text: str, *words: str, kind: str = "name") -> CuratedQuery:
    return CuratedQuery(text, kind, words=words or tuple(text.split()))


def _category(text: str, *subgroups: str, kind: str = "category") -> CuratedQuery:
    return CuratedQuery(text, kind, subgroups=subgroups)


def _scene(text: str, *words: str, kind: str = "scene") -> CuratedQuery:
    return CuratedQuery(text, kind, words=words, scene=True)


_VEHICLES = ("transport-ground", "transport-water", "transport-air")

CURATED_QUERIES: tuple[CuratedQuery, ...] = (
    _name("cat"),
    _name("dog"),
    _name("pizza"),
    _name("red apple"),
    _name("guitar"),
    _name("umbrella"),
    _name("rocket"),
    _name("sunflower"),
    _name("a bicycle", "bicycle"),
    _name("a picture of an elephant", "elephant"),
    _name("snowman"),
    _name("birthday cake"),
    _name("soccer ball"),
    _name("a cup of coffee", "coffee"),
    _name("airplane"),
    _name("castle"),
    _name("crying face", "crying", "face"),
    _name("skull"),
    _name("rainbow"),
    _name("flag of japan", "japan"),
    _name("puppy", "puppy"),
    _name("automobile", "automobile"),
    _name("christmas", "christmas", kind="keyword"),
    _name("doctor", "doctor", kind="keyword"),
    _name("space", "space", kind="keyword"),
    _name("beach", "beach", kind="keyword"),
    _name("money", "money", kind="keyword"),
    _name("halloween", "halloween", kind="keyword"),
    _name("love", "love", kind="keyword"),
    _name("wedding", "wedding", kind="keyword"),
    _category("fruit", "food-fruit"),
    _category("vegetable", "food-vegetable"),
    _category("something to drink", "drink"),
    _category("dessert", "food-sweet"),
    _category("food", "food"),
    _category("animal", "animal"),
    _category("bird", "animal-bird"),
    _category("insect", "animal-bug"),
    _category("flower", "plant-flower"),
    _category("vehicle", *_VEHICLES),
    _category("weather", "sky-weather"),
    _category("sport", "sport", "person-sport"),
    _category("musical instrument", "musical-instrument"),
    _category("tool", "tool"),
    _category("clothing", "clothing"),
    _category("building", "place-building", "place-religious"),
    _category("country flag", "country-flag", "subdivision-flag"),
    _category("happy face", "face-smiling", "face-affection"),
    _category("sad face", "face-concerned", "face-unwell", "face-negative"),
    _category("hand gesture", "hand"),
    _category("arrow", "arrow"),
    _category("zodiac sign", "zodiac"),
    _category("office supplies", "office", "writing", "book-paper"),
    _scene("cat and pizza", "cat", "pizza"),
    _scene("dog and bone", "dog", "bone"),
    _scene("a monkey with a banana", "monkey", "banana"),
    _scene("rocket and moon", "rocket", "moon"),
    _scene("snowman next to a christmas tree", "snowman", "tree"),
    _scene("hamburger with french fries", "hamburger", "fries"),
    _scene("bee and sunflower", "bee", "sunflower"),
    _scene("guitar and microphone", "guitar", "microphone"),
    _scene("rose and red heart", "rose", "heart"),
    _scene("coffee and croissant", "coffee", "croissant"),
    _scene("unicorn and rainbow", "unicorn", "rainbow"),
    _scene("fox with maple leaf", "fox", "maple"),
    _name("katze", "cat", kind="german"),
    _name("regenschirm", "umbrella", kind="german"),
    _category("obst", "food-fruit", kind="german"),
    _category("musikinstrument", "musical-instrument", kind="german"),
    _scene("hund und knochen", "dog", "bone", kind="german"),
    _name("chien", "dog", kind="french"),
    _name("arc-en-ciel", "rainbow", kind="french"),
    _category("légume", "food-vegetable", kind="french"),
    _category("véhicule", *_VEHICLES, kind="french"),
    _name("perro", "dog", kind="spanish"),
    _name("manzana roja", "red", "apple", kind="spanish"),
    _category("fruta", "food-fruit", kind="spanish"),
    _category("ropa", "clothing", kind="spanish"),
    _name("кошка", "cat", kind="russian"),
    _name("велосипед", "bicycle", kind="russian"),
    _category("птица", "animal-bird", kind="russian"),
    _category("еда", "food", kind="russian"),
)
