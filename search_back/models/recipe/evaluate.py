"""Measure the published model through stock open_clip; print and record the figures."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from search_back.encoders.sources.open_clip_import import open_clip
from search_back.files import sha256_file, write_json
from search_back.models.recipe.captions import Phrasebook, clean
from search_back.models.recipe.card import update_card
from search_back.models.recipe.categories import CATEGORIES
from search_back.models.recipe.concepts import LANGUAGES, Concept
from search_back.models.recipe.curated import CURATED_QUERIES
from search_back.models.recipe.pictures import Sample, read_pictures
from search_back.models.recipe.publish import VOCABULARY_FILE, WEIGHTS_FILE
from search_back.models.recipe.sprites import read_sprites
from search_back.models.recipe.work import WorkFolder

EVALUATION_FILE = "evaluation.json"
STYLES = ("twemoji", "openmoji", "noto", "noto_v1", "fluent_flat", "fluent", "fxemoji")
_AT = (1, 5, 10)
_BATCH = 256

Rows = npt.NDArray[np.float32]
Figures = dict[str, Any]


class Model:
    """The published folder as stock open_clip loads it; unit rows out.

    Remembers the rows of texts: every style is asked the same ones.
    """

    def __init__(self, folder: Path) -> None:
        clip, _, self._preprocess = open_clip().create_model_and_transforms(f"local-dir:{folder}")
        self._clip = clip.eval()
        vocabulary = str((folder / VOCABULARY_FILE).resolve())
        self._tokenize: Any = open_clip().get_tokenizer(f"local-dir:{folder}", bpe_path=vocabulary)
        self._known: dict[str, Rows] = {}

    def images(self, pictures: Sequence[Image.Image]) -> Rows:
        """`(n, d)` float32 unit rows."""
        return self._rows(
            self._clip.encode_image(torch.stack([self._preprocess(item) for item in part]))
            for part in _batches(pictures)
        )

    def texts(self, texts: Sequence[str]) -> Rows:
        """`(n, d)` float32 unit rows."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            rows = self._rows(
                self._clip.encode_text(self._tokenize(list(part))) for part in _batches(new)
            )
            self._known.update(zip(new, rows, strict=True))
        return np.stack([self._known[text] for text in texts])

    @staticmethod
    def _rows(parts: Any) -> Rows:
        with torch.no_grad():
            rows = torch.cat(list(parts)).float()
            unit: Rows = torch.nn.functional.normalize(rows, dim=-1).numpy()
        return unit


def evaluate(work: WorkFolder, concepts: Sequence[Concept], folder: Path, tar: Path) -> Figures:
    """All figures of the published model; written to its folder and into its card."""
    torch.set_num_threads(1)
    model, book = Model(folder), Phrasebook(concepts)
    log = json.loads(work.training_log.read_text(encoding="utf-8"))
    figures: Figures = {
        "weights_sha256": sha256_file(folder / WEIGHTS_FILE),
        "training": {key: log[key] for key in ("steps", "batch", "minutes")},
        "styles": {},
    }
    galleries = {}
    for style in STYLES:
        rows, pictures = style_gallery(work, style)
        galleries[style] = rows, model.images(pictures)
        figures["styles"][style] = style_figures(model, book, concepts, *galleries[style])
    figures["image_to_image"] = {
        style: image_to_image(galleries[style], galleries["noto"])
        for style in ("twemoji", "openmoji")
    }
    bundled = read_pictures(tar)
    figures["bundled"] = bundled_figures(model, bundled)
    write_json(folder / EVALUATION_FILE, figures)
    update_card(folder, figures)
    return figures


def style_gallery(work: WorkFolder, style: str) -> tuple[npt.NDArray[np.int64], list[Image.Image]]:
    """Concept numbers and pictures of one style, on white."""
    sprites = read_sprites(work, style)
    rows = np.flatnonzero(sprites.drawn)
    pictures = []
    for row in rows:
        drawing = Image.fromarray(sprites.pixels[row])
        picture = Image.new("RGB", drawing.size, "white")
        picture.paste(drawing, mask=drawing)
        pictures.append(picture)
    return rows, pictures


def style_figures(
    model: Model,
    book: Phrasebook,
    concepts: Sequence[Concept],
    rows: npt.NDArray[np.int64],
    images: Rows,
) -> Figures:
    """Names in five languages, English keywords and categories over one style's gallery."""
    figures: Figures = {"gallery": len(rows)}
    for language in LANGUAGES:
        places = [place for place, row in enumerate(rows) if language in concepts[row].names]
        names = [clean(concepts[rows[place]].names[language]) for place in places]
        figures[f"names_{language}"] = recall(
            ranks(model.texts(names) @ images.T, np.array(places))
        )
    keywords = sorted({number for row in rows for number in book.keywords["en"][row]})
    figures["keywords_en"] = relevance(
        model.texts([book.texts[number] for number in keywords]) @ images.T,
        book.relation[keywords][:, rows],
    )
    for language in LANGUAGES:
        numbers = category_numbers(book, language)
        figures[f"categories_{language}"] = relevance(
            model.texts([book.texts[number] for number in numbers]) @ images.T,
            book.relation[numbers][:, rows],
        )
    return figures


def category_numbers(book: Phrasebook, language: str) -> list[int]:
    """Phrase numbers of the first word of each category."""
    firsts = [category.phrases(language)[:1] for category in CATEGORIES]
    numbers = [book.number(phrase) for words in firsts for phrase in words]
    return [number for number in numbers if number is not None]


def bundled_figures(model: Model, bundled: Sequence[Sample]) -> Figures:
    """Over all bundled pictures: their own names, scenes by what is in them, curated queries."""
    images = model.images([item.picture for item in bundled])
    figures: Figures = {"pictures": len(bundled)}
    for kind in ("emoji", "scene"):
        places = [place for place, item in enumerate(bundled) if item.described["kind"] == kind]
        names = [clean(bundled[place].described["name"]) for place in places]
        scores = model.texts(names) @ images.T
        figures[f"{kind}_names"] = recall(ranks(scores, np.array(places)))
    scores = model.texts([query.text for query in CURATED_QUERIES]) @ images.T
    best = np.argsort(-scores, axis=1)[:, :5]
    found: defaultdict[str, list[bool]] = defaultdict(list)
    missed = {}
    for query, top in zip(CURATED_QUERIES, best, strict=True):
        hit = any(query.accepts(bundled[place].described) for place in top)
        found[query.kind].append(hit)
        if not hit:
            missed[query.text] = [bundled[place].described["name"] for place in top]
    hits = [hit for group in found.values() for hit in group]
    figures["curated"] = {
        "queries": len(hits),
        "hit_at_5": _percent(np.array(hits)),
        "by_kind": {kind: _percent(np.array(group)) for kind, group in found.items()},
        "missed": missed,
    }
    return figures


def image_to_image(
    queries: tuple[npt.NDArray[np.int64], Rows], gallery: tuple[npt.NDArray[np.int64], Rows]
) -> Figures:
    """Find a concept by its picture in another style."""
    common, from_queries, from_gallery = np.intersect1d(queries[0], gallery[0], return_indices=True)
    scores = queries[1][from_queries] @ gallery[1].T
    return {"pairs": len(common)} | recall(ranks(scores, from_gallery))


def ranks(scores: Rows, right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many gallery entries score above the right one; `scores` is `(queries, gallery)`."""
    own = scores[np.arange(len(right)), right]
    above: npt.NDArray[np.int64] = (scores > own[:, None]).sum(axis=1)
    return above


def recall(found: npt.NDArray[np.int64]) -> Figures:
    """Recall in percent at 1, 5 and 10."""
    return {"queries": len(found)} | {f"r{k}": _percent(found < k) for k in _AT}


def relevance(scores: Rows, relation: npt.NDArray[np.bool_]) -> Figures:
    """Queries with many right answers: mean average precision, and a right one among five."""
    asked = relation.any(axis=1)
    scores, relation = scores[asked], relation[asked]
    order = np.argsort(-scores, axis=1)
    right = np.take_along_axis(relation, order, axis=1)
    precision = right.cumsum(axis=1) / np.arange(1, right.shape[1] + 1)
    average = (precision * right).sum(axis=1) / right.sum(axis=1)
    return {
        "queries": len(right),
        "map": round(float(average.mean()), 3),
        "hit_at_5": _percent(right[:, :5].any(axis=1)),
        "precision_at_5": _percent(right[:, :5]),
    }


def _percent(values: Any) -> float:
    return round(100 * float(values.mean()), 1)


def _batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
