"""``POST /v1/map``: where items lie, what clusters are called, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions, Limits
from search_back.layout import maps, tsne
from search_back.layout.pca import fitted, principal
from search_back.vectors import normalise
from tests.folders import unit_rows, write_folder

THINGS = ("dog", "car", "sea")
EACH = 20
COUNT = len(THINGS) * EACH
GROUP = np.arange(COUNT) % len(THINGS)
VECTORS = normalise(unit_rows(len(THINGS), 24)[GROUP] + 0.2 * unit_rows(COUNT, 24, seed=1))


@pytest.fixture
def reader(serve_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    table = pa.table(
        {
            "width": list(range(COUNT)),
            "name": [f"a picture of the {THINGS[group]}, {i}" for i, group in enumerate(GROUP)],
            "colour": [
                None if i % 7 == 0 else f"colour {'red' if i % 2 else 'blue'}" for i in GROUP
            ],
        }
    )
    text = VECTORS[:, ::-1].copy()
    folder = write_folder(tmp_path / "things", VECTORS, table, text=text)
    bare = write_folder(tmp_path / "bare", VECTORS[:1], pa.table({"width": [1]}))
    options = {"things": IndexOptions(folder), "bare": IndexOptions(bare)}
    return serve_app(options, limits=Limits(max_map_points=COUNT)).test_client()


def ask(client: FlaskClient, **body: Any) -> Any:
    answer = client.post("/v1/map", data=json.dumps(body))
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(client: FlaskClient, status: int, **body: Any) -> Any:
    answer = client.post("/v1/map", data=json.dumps(body))
    assert answer.status_code == status, answer.text
    return answer.json


def points(answer: Any) -> np.ndarray:
    return np.array([answer["x"], answer["y"]]).T


def test_clusters_hold_what_is_alike_and_are_called_so(reader: FlaskClient) -> None:
    found = ask(reader, sample=COUNT, clusters=3)
    assert found["ids"] == list(range(COUNT))
    assert (found["index"], found["total"], found["method"]) == ("things", COUNT, "tsne")
    assert found["caption_column"] == "name"
    assert [cluster["size"] for cluster in found["clusters"]] == [EACH] * 3
    assert {tuple(cluster["words"]) for cluster in found["clusters"]} == {(t,) for t in THINGS}
    for id_, label in zip(found["ids"], found["cluster"], strict=True):
        assert found["clusters"][label]["words"] == [THINGS[GROUP[id_]]]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_what_is_alike_lies_together(reader: FlaskClient, method: str) -> None:
    found = ask(reader, sample=COUNT, clusters=3, method=method)
    assert found["method"] == method
    where = points(found)
    assert where.min() >= 0
    assert where.max() <= 1
    away = np.linalg.norm(where[:, None] - where, axis=2)
    np.fill_diagonal(away, np.inf)
    assert (GROUP[away.argmin(axis=1)] == GROUP).all()
    labels = np.array(found["cluster"])
    for number, cluster in enumerate(found["clusters"]):
        assert [cluster["x"], cluster["y"]] in where[labels == number].tolist()


def test_pca_is_that_of_the_vectors(reader: FlaskClient) -> None:
    ids = [40, 3, 17, 59]
    found = ask(reader, ids=ids, method="pca")
    assert found["ids"] == ids
    expected = fitted(principal(VECTORS[ids], 2))
    np.testing.assert_allclose(points(found), expected, atol=2e-5)


def test_the_same_request_gets_the_same_map(
    reader: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(reader, sample=30)
    assert len(set(first["ids"])) == 30
    # An other sample between, and nothing is remembered of the first.
    monkeypatch.setattr("search_back.services.maps.KEPT", 0)
    ask(reader, sample=31)
    again = ask(reader, sample=30)
    assert first | {"took_ms": 0} == again | {"took_ms": 0}


def test_a_map_that_was_drawn_is_not_drawn_again(
    reader: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    whole = maps.principal

    def counted(rows: Any, count: int) -> Any:
        drawn.append(len(rows))
        return whole(rows, count)

    monkeypatch.setattr(maps, "principal", counted)
    for _ in range(2):
        ask(reader, sample=12)
        ask(reader, ids=[1, 2])
    assert drawn == [12, 2]


@pytest.mark.parametrize(
    ("ids", "where"),
    [([], []), ([5], [[0.5, 0.5]]), ([5, 5], [[0.5, 0.5]]), ([5, 6], [[1, 0.5], [0, 0.5]])],
)
def test_few_points(reader: FlaskClient, ids: list[int], where: list[list[float]]) -> None:
    found = ask(reader, ids=ids, method="tsne")
    assert found["method"] == "pca"
    assert found["ids"] == list(dict.fromkeys(ids))
    assert sorted(points(found).tolist()) == sorted(where)
    assert sum(cluster["size"] for cluster in found["clusters"]) == len(found["ids"])


def test_the_vectors_of_captions(reader: FlaskClient) -> None:
    ids = list(range(9))
    found = ask(reader, ids=ids, modality="text", method="pca")
    expected = fitted(principal(VECTORS[ids][:, ::-1], 2))
    np.testing.assert_allclose(points(found), expected, atol=2e-5)


def test_another_column_names_the_clusters(reader: FlaskClient) -> None:
    found = ask(reader, sample=COUNT, clusters=3, caption_column="colour")
    assert found["caption_column"] == "colour"
    words = {word for cluster in found["clusters"] for word in cluster["words"]}
    assert words == {"red", "blue"}


def test_an_index_without_captions_has_clusters_without_names(reader: FlaskClient) -> None:
    found = ask(reader, index="bare", sample=3)
    assert (found["ids"], found["total"], found["caption_column"]) == ([0], 1, None)
    assert found["clusters"] == [{"x": 0.5, "y": 0.5, "size": 1, "words": []}]


def test_unknown_ids_are_named(reader: FlaskClient) -> None:
    told = refused(reader, 404, ids=[1, COUNT, 2, COUNT + 5])
    assert told["code"] == "unknown_id"
    assert f"[{COUNT}, {COUNT + 5}]" in told["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": [-1]}, "ids.0"),
        ({"ids": ["x"]}, "ids.0"),
        ({"sample": 0}, "sample"),
        ({"sample": 3, "clusters": 0}, "clusters"),
        ({"sample": 3, "clusters": 101}, "clusters"),
        ({"sample": 3, "method": "umap"}, "method"),
        ({"sample": 3, "smple": 3}, "smple"),
        ({"sample": 3, "caption_column": "width"}, "caption_column"),
        ({"sample": 3, "caption_column": "nothing"}, "caption_column"),
    ],
)
def test_a_wrong_field_is_named(reader: FlaskClient, body: Any, field: str) -> None:
    told = refused(reader, 400, **body)
    assert told["errors"][0]["field"] == field
    if field == "caption_column":
        assert "there are: name, colour" in told["message"]


@pytest.mark.parametrize("body", [{}, {"ids": [1], "sample": 3}])
def test_either_ids_or_a_sample(reader: FlaskClient, body: Any) -> None:
    assert "give either ids or sample" in refused(reader, 400, **body)["message"]


@pytest.mark.parametrize("body", [{"ids": list(range(COUNT + 1))}, {"sample": COUNT + 1}])
def test_more_points_than_the_limit(reader: FlaskClient, body: Any) -> None:
    assert "max_map_points" in refused(reader, 413, **body)["message"]


def test_what_is_not_there(reader: FlaskClient) -> None:
    assert refused(reader, 404, sample=3, index="other")["code"] == "unknown_index"
    assert "image" in refused(reader, 400, sample=3, index="bare", modality="text")["message"]


def test_without_the_extra(reader: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsne, "find_spec", lambda name: None)
    told = refused(reader, 400, sample=COUNT, method="tsne")
    assert told["errors"][0]["field"] == "method"
    assert "search_back[map]" in told["message"]
    assert ask(reader, sample=COUNT)["method"] == "pca"


def test_a_map_is_given_up_with_its_request(
    reader: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is over while t-SNE is at work: where it was asked for, it stops in a few steps."""
    looked: list[float | None] = []

    def over() -> float:
        looked.append(None)
        return 0.0 if len(looked) > 8 else 1.0

    monkeypatch.setattr("search_back.deadlines.remaining", over)
    told = refused(reader, 504, sample=COUNT, method="tsne")
    assert told["code"] == "deadline_exceeded"
    assert "the map was laid out" in told["message"]
    assert len(looked) == 9


def test_t_sne_that_was_not_asked_for_ends_in_time(
    reader: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = points(ask(reader, sample=COUNT))
    monkeypatch.setattr(maps, "SHARE", 0.0)
    monkeypatch.setattr("search_back.services.maps.KEPT", 0)
    ask(reader, sample=3)
    hurried = ask(reader, sample=COUNT)
    assert hurried["method"] == "tsne"
    assert not np.array_equal(points(hurried), whole)
