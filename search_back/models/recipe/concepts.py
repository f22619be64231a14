"""The table of concepts: one row for each base emoji, with names and keywords in five languages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_back.models.recipe.work import WorkFolder

LANGUAGES = ("en", "de", "fr", "es", "ru")

_PRESENTATION_SELECTOR = "\ufe0f"


@dataclass(frozen=True, slots=True)
class Concept:
    """One emoji without skin tone.

    `emoji` is its fully qualified form; `names` and `keywords` are keyed by language.
    """

    emoji: str
    group: str
    subgroup: str
    names: dict[str, str]
    keywords: dict[str, list[str]]

    @property
    def name(self) -> str:
        return self.names["en"]

    @property
    def bare(self) -> str:
        """The emoji without presentation selectors: what packages use as a key."""
        return bare(self.emoji)

    @property
    def codepoints(self) -> list[str]:
        return [f"{ord(character):x}" for character in self.emoji]


def bare(emoji: str) -> str:
    """`emoji` without presentation selectors."""
    return emoji.replace(_PRESENTATION_SELECTOR, "")


def hex_key(emoji: str) -> str:
    """Code points joined by hyphens, lower case: `1f1e9-1f1ea`."""
    return "-".join(f"{ord(character):x}" for character in emoji)


def make_concepts(work: WorkFolder) -> list[Concept]:
    """Read the unpacked sources, write the table and return it."""
    listed = _read(work.unpacked / "emoji_list/package/data-by-emoji.json")
    subgroups = _subgroups(work.unpacked / "emojibase/package")
    annotations = {language: _annotations(work.unpacked, language) for language in LANGUAGES}
    concepts = []
    for emoji, entry in listed.items():
        names, keywords = {"en": str(entry["name"])}, {}
        for language, table in annotations.items():
            found = table.get(bare(emoji), {})
            if found.get("tts"):
                names[language] = found["tts"][0]
            keywords[language] = list(found.get("default", []))
        subgroup = subgroups.get(bare(emoji), "other")
        concepts.append(Concept(emoji, entry["group"], subgroup, names, keywords))
    text = json.dumps([asdict(concept) for concept in concepts], ensure_ascii=False, indent=0)
    work.concepts.write_text(text + "\n", encoding="utf-8")
    return concepts


def read_concepts(path: Path) -> list[Concept]:
    """Read the table that `make_concepts` wrote."""
    return [Concept(**row) for row in _read(path)]


def _subgroups(package: Path) -> dict[str, str]:
    numbered: Mapping[str, str] = _read(package / "meta/groups.json")["subgroups"]
    rows = _read(package / "en/data.json")
    return {bare(row["emoji"]): numbered[str(row["subgroup"])] for row in rows if "subgroup" in row}


def _annotations(unpacked: Path, language: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key, kind in (("cldr", "annotations"), ("cldr_derived", "annotationsDerived")):
        file = unpacked / key / "package" / kind / language / "annotations.json"
        for emoji, found in _read(file)[kind]["annotations"].items():
            merged.setdefault(bare(emoji), found)
    return merged


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
