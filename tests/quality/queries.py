"""What people would type, and which of the bundled pictures answer it.

Written from the list of pictures alone, before any search was run on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A query and what answers it: a picture of all `shows`, where each is a set of things.

    A thing is the name of a picture, or a subgroup of Unicode's emoji list written `@subgroup`.
    A scene shows each of the things it is composed of.
    """

    text: str
    shows: tuple[frozenset[str], ...]

    def accepts(self, row: Mapping[str, Any]) -> bool:
        there = {*str(row["name"]).split(" and "), str(row["name"]), f"@{row['subgroup']}"}
        return all(wanted & there for wanted in self.shows)


def one(text: str, *things: str) -> Asked:
    return Asked(text, (frozenset(things),))


def both(text: str, *groups: Iterable[str]) -> Asked:
    return Asked(text, tuple(frozenset(group) for group in groups))


NAMES = [
    one("guitar", "guitar"),
    one("pizza", "pizza"),
    one("elephant", "elephant"),
    one("a slice of watermelon", "watermelon"),
    one("rocket", "rocket"),
    one(
        "umbrella", "umbrella", "closed umbrella", "umbrella with rain drops", "umbrella on ground"
    ),
    one("red heart", "red heart", "heart suit"),
    one("snowman", "snowman", "snowman without snow"),
    one("rainbow", "rainbow"),
    one("a pair of scissors", "scissors"),
    one("birthday cake", "birthday cake", "shortcake"),
    one("penguin", "penguin"),
    one("octopus", "octopus"),
    one("an open book", "open book"),
    one("cactus", "cactus"),
    one("lion", "lion"),
    one("christmas tree", "Christmas tree"),
    one("camera", "camera", "camera with flash", "video camera", "movie camera"),
    one("basketball", "basketball"),
    one("bicycle", "bicycle"),
    one("hot dog", "hot dog"),
    one("ambulance", "ambulance"),
    one("butterfly", "butterfly"),
    one("mushroom", "mushroom", "brown mushroom"),
    one("wine", "wine glass", "clinking glasses", "bottle with popping cork"),
    one("crown", "crown"),
]
CATEGORIES = [
    one("fruit", "@food-fruit"),
    one("vegetable", "@food-vegetable"),
    one("musical instrument", "@musical-instrument"),
    one("flower", "@plant-flower", "potted plant"),
    one("vehicle", "@transport-ground", "@transport-water", "@transport-air"),
    one("insect", "@animal-bug"),
    one("bird", "@animal-bird", "dove", "parrot"),
    one("boat", "@transport-water"),
    one("dessert", "@food-sweet"),
    one("clothes", "@clothing"),
    one("tools", "@tool"),
    one("sea animal", "@animal-marine"),
    one("money", "@money"),
    one("clock", "@time"),
    one("ball game", "@sport", "pool 8 ball"),
    one("drinks", "@drink"),
]
SCENES = [
    both("cat and pizza", ["cat"], ["pizza"]),
    both("a dog with a bone", ["dog"], ["bone"]),
    both("monkey and banana", ["monkey"], ["banana"]),
    both("a rabbit and a carrot", ["rabbit"], ["carrot"]),
    both("panda on a bicycle", ["panda"], ["bicycle"]),
    both("guitar and microphone", ["guitar"], ["microphone"]),
    both("a rocket flying to the moon", ["rocket"], ["full moon"]),
    both("coffee and croissant", ["hot beverage"], ["croissant"]),
    both("burger with fries", ["hamburger"], ["french fries"]),
    both("birthday cake and balloon", ["birthday cake"], ["balloon"]),
    both("a bee on a sunflower", ["honeybee"], ["sunflower"]),
    both("frog with an umbrella", ["frog"], ["umbrella"]),
    both("dragon and castle", ["dragon"], ["castle"]),
    both("unicorn and rainbow", ["unicorn"], ["rainbow"]),
    both("hammer and wrench", ["hammer"], ["wrench"]),
    both("school bus", ["bus"], ["school"]),
]
LANGUAGES = [
    one("Katze", "cat", "cat face", "black cat", "@cat-face"),
    one("Apfel", "red apple", "green apple"),
    one("Schmetterling", "butterfly"),
    one("Feuerwehr", "fire engine"),
    one("Sonnenblume", "sunflower"),
    one("chien", "dog", "dog face", "guide dog", "service dog", "poodle"),
    one("fromage", "cheese wedge"),
    one("voiture", "automobile", "oncoming automobile", "sport utility vehicle", "racing car"),
    one("parapluie", "umbrella", "closed umbrella", "umbrella with rain drops"),
    one("fraise", "strawberry"),
    one("perro", "dog", "dog face", "guide dog", "service dog", "poodle"),
    one("zanahoria", "carrot"),
    one("avión", "airplane", "small airplane", "airplane departure", "airplane arrival"),
    one("reloj", "@time"),
    one("tortuga", "turtle"),
    one("гитара", "guitar"),
    one("лошадь", "horse", "horse face"),
    one("хлеб", "bread", "baguette bread", "flatbread"),
    one("велосипед", "bicycle"),
    one("ключ", "key", "old key", "locked with key", "wrench"),
]
QUERIES = [*NAMES, *CATEGORIES, *SCENES, *LANGUAGES]
