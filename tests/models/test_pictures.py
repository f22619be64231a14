"""The bundled pictures: structure, descriptions, and what queries find in them."""

from __future__ import annotations

import tarfile
from collections import Counter

import numpy as np

from search_back.models import pictures_tar
from search_back.models.recipe.curated import CURATED_QUERIES
from search_back.models.recipe.evaluate import Model
from search_back.models.recipe.pictures import Sample

FIELDS = {
    "name", "name_de", "name_fr", "name_es", "name_ru", "keywords", "group", "subgroup", "emoji",
    "codepoints", "kind", "licence", "source",
}  # fmt: skip


def test_tar_is_small_and_deterministic_in_its_headers() -> None:
    assert pictures_tar().stat().st_size <= 12_000_000
    with tarfile.open(pictures_tar()) as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, "", "", 0o644)
    }


def test_tar_is_a_webdataset() -> None:
    with tarfile.open(pictures_tar()) as tar:
        names = tar.getnames()
    assert all(name.count(".") == 1 and "/" not in name for name in names)
    keys = [name.split(".")[0] for name in names]
    assert keys[::3] == keys[1::3] == keys[2::3] == sorted(set(keys))
    assert {name.split(".")[1] for name in names} == {"jpg", "txt", "json"}


def test_every_picture_is_described(bundled: list[Sample]) -> None:
    for item in bundled:
        assert set(item.described) == FIELDS, item.key
        assert item.caption.startswith(item.described["name"]), item.key
        assert all(isinstance(word, str) for word in item.described["keywords"])
        several = item.described["kind"] == "scene"
        assert isinstance(item.described["emoji"], str)
        assert item.picture.size == ((256, 256) if several else (136, 128)), item.key


def test_there_are_enough_of_each_kind(bundled: list[Sample]) -> None:
    kinds = Counter(item.described["kind"] for item in bundled)
    assert kinds["emoji"] >= 1850
    assert kinds["scene"] >= 280
    emoji = [item for item in bundled if item.described["kind"] == "emoji"]
    assert len({item.described["emoji"] for item in emoji}) == len(emoji)
    names = ("name_de", "name_fr", "name_es", "name_ru")
    translated = [item for item in emoji if all(item.described[name] for name in names)]
    assert len(translated) >= 0.95 * len(emoji)


def test_no_picture_is_empty(bundled: list[Sample]) -> None:
    for item in bundled[::7]:
        assert np.asarray(item.picture).std() > 2, item.key


def test_every_curated_query_has_an_answer(bundled: list[Sample]) -> None:
    unanswerable = [
        query.text
        for query in CURATED_QUERIES
        if not any(query.accepts(item.described) for item in bundled)
    ]
    assert not unanswerable


def test_most_curated_queries_find_an_answer(model: Model, bundled: list[Sample]) -> None:
    assert len(CURATED_QUERIES) >= 60
    images = model.images([item.picture for item in bundled])
    scores = model.texts([query.text for query in CURATED_QUERIES]) @ images.T
    missed = [
        query.text
        for query, row in zip(CURATED_QUERIES, scores, strict=True)
        if not any(query.accepts(bundled[place].described) for place in np.argsort(-row)[:5])
    ]
    assert len(missed) <= 0.15 * len(CURATED_QUERIES), missed
