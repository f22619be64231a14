"""Phrases, which concepts each is true of, and captions made of them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search_back.models.recipe.categories import CATEGORIES
from search_back.models.recipe.concepts import LANGUAGES, Concept

SINGLE_TEMPLATES: dict[str, tuple[str, ...]] = {
    "en": ("a picture of {}", "a {}", "the {}", "an image of {}", "{} emoji", "icon of {}",
           "a drawing of {}", "a photo of {}", "a small picture of a {}", "an emoji of a {}"),
    "de": ("ein Bild von {}", "{} Emoji", "ein {}", "eine {}"),
    "fr": ("une image de {}", "emoji {}", "un {}", "une {}"),
    "es": ("una imagen de {}", "emoji de {}", "un {}", "una {}"),
    "ru": ("картинка {}", "эмодзи {}", "изображение {}"),
}  # fmt: skip
PAIR_TEMPLATES: dict[str, tuple[str, ...]] = {
    "en": ("{} and {}", "{} with {}", "{} next to {}", "a {} and a {}", "a picture of {} and {}",
           "{} {}", "a {} with a {}", "a {} next to a {}", "{} together with {}"),
    "de": ("{} und {}", "{} mit {}", "{} neben {}"),
    "fr": ("{} et {}", "{} avec {}", "{} à côté de {}"),
    "es": ("{} y {}", "{} con {}", "{} junto a {}"),
    "ru": ("{} и {}", "{} с {}", "{} рядом с {}"),
}  # fmt: skip
TRIPLE_TEMPLATES = ("{}, {} and {}", "{} {} {}", "{} and {} and {}", "a {}, a {} and a {}")
BACKGROUND_TEMPLATES = ("{} on a {} background", "{} on {}", "{}, {} background")

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (10, 10, 10),
    "gray": (150, 150, 150),
    "red": (220, 70, 70),
    "green": (90, 190, 100),
    "blue": (90, 130, 230),
    "yellow": (250, 230, 110),
    "pink": (250, 180, 210),
    "orange": (250, 170, 80),
    "purple": (170, 110, 200),
}

_PUNCTUATION = re.compile(r"[:,“”„«»\"()]+")


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and what it says.

    `things` holds, for each thing it names, the phrases that are all true of that thing;
    `background` is the background it names, or None.
    """

    text: str
    things: tuple[tuple[int, ...], ...]
    background: str | None = None


def clean(text: str) -> str:
    """Lower case, without the punctuation of names such as `flag: Chad`."""
    return " ".join(_PUNCTUATION.sub(" ", text.lower()).split())


class Phrasebook:
    """All phrases, and the relation `(phrases, concepts)` bool that says what they are true of.

    `names`, `keywords` and `categories` give, for each language and concept, phrase numbers.
    """

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._pairs: list[tuple[int, int]] = []
        self.names = _table(len(concepts))
        self.keywords = _table(len(concepts))
        self.categories = _table(len(concepts))
        for row, concept in enumerate(concepts):
            for language, name in concept.names.items():
                for spelling in _spellings(name, language):
                    self._add(self.names[language][row], spelling, row)
            for language, words in concept.keywords.items():
                for word in words:
                    self._add(self.keywords[language][row], word, row)
            for category in CATEGORIES:
                if category.holds(concept):
                    for language in LANGUAGES:
                        for phrase in category.phrases(language):
                            self._add(self.categories[language][row], phrase, row)
        self.relation: npt.NDArray[np.bool_] = np.zeros((len(self.texts), len(concepts)), np.bool_)
        phrases, rows = np.array(self._pairs, dtype=np.int64).reshape(-1, 2).T
        self.relation[phrases, rows] = True

    def _add(self, into: list[int], text: str, row: int) -> None:
        text = clean(text)
        if not text:
            return
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        self._pairs.append((number, row))
        if number not in into:
            into.append(number)

    def number(self, text: str) -> int | None:
        """Number of a phrase, None for an unknown one."""
        return self._numbers.get(clean(text))


class CaptionMaker:
    """Draws captions from a phrasebook; one random stream, not shared between threads.

    ``foreign``: how many times as often as by default a caption is not English.
    """

    def __init__(self, book: Phrasebook, rng: random.Random, *, foreign: float = 1.0) -> None:
        self.book = book
        self.rng = rng
        self._foreign = foreign

    def caption(self, concepts: Sequence[int], background: str | None) -> Caption:
        """A caption of everything in the picture."""
        if len(concepts) == 1:
            return self._single(concepts[0], background)
        language = self._language(0.8)
        things = [self._thing(concept, language, scene=True) for concept in concepts]
        self.rng.shuffle(things)
        if len(things) == 2:
            template = self.rng.choice(PAIR_TEMPLATES[language])
        else:
            template = self.rng.choice(TRIPLE_TEMPLATES)
        text = template.format(*(self._text(thing) for thing in things))
        return self._on_background(Caption(text, tuple(things)), language, background)

    def part(self, concepts: Sequence[int]) -> Caption:
        """A plain phrase, without template, about one thing in the picture."""
        concept = self.rng.choice(concepts)
        thing = self._thing(concept, self._language(0.6), scene=False)
        return Caption(self._text(thing), (thing,))

    def _single(self, concept: int, background: str | None) -> Caption:
        language = self._language(0.72)
        thing = self._thing(concept, language, scene=self.rng.random() < 0.55)
        text = self._text(thing)
        if self.rng.random() < 0.5:
            text = self.rng.choice(SINGLE_TEMPLATES[language]).format(text)
        return self._on_background(Caption(text, (thing,)), language, background)

    def _on_background(self, caption: Caption, language: str, background: str | None) -> Caption:
        if background is None or language != "en" or self.rng.random() < 0.6:
            return caption
        text = self.rng.choice(BACKGROUND_TEMPLATES).format(caption.text, background)
        return Caption(text, caption.things, background)

    def _thing(self, concept: int, language: str, *, scene: bool) -> tuple[int, ...]:
        """Phrases true of `concept`: mostly its name in scenes, any kind of phrase elsewhere."""
        name, keyword = (0.8, 0.95) if scene else (0.45, 0.8)
        draw, book = self.rng.random(), self.book
        names = book.names[language][concept] or book.names["en"][concept]
        keywords = book.keywords[language][concept]
        categories = book.categories[language][concept]
        if draw >= keyword and categories:
            return (self.rng.choice(categories),)
        if draw >= name and keywords:
            if not scene and len(keywords) > 1 and self.rng.random() < 0.25:
                return tuple(self.rng.sample(keywords, 2))
            return (self.rng.choice(keywords),)
        # The first spelling is the name itself.
        return (names[0] if self.rng.random() < 0.7 else self.rng.choice(names),)

    def _text(self, phrases: Iterable[int]) -> str:
        return " ".join(self.book.texts[phrase] for phrase in phrases)

    def _language(self, english: float) -> str:
        if self.rng.random() < 1 - self._foreign * (1 - english):
            return "en"
        return self.rng.choice(LANGUAGES[1:])


def _table(concepts: int) -> dict[str, list[list[int]]]:
    return {language: [[] for _ in range(concepts)] for language in LANGUAGES}


def _spellings(name: str, language: str) -> list[str]:
    """The name, and for an English flag the ways people write it."""
    if language == "en" and name.startswith("flag: "):
        country = name.removeprefix("flag: ")
        return [f"flag of {country}", f"{country} flag", name, country]
    return [name]
