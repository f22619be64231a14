"""`/metadata` and the GET routes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions
from search_back.metrics import STEPS
from tests.conftest import Chain

JSON_ROUTES = ["/knn-service", "/metadata", "/indices-list", "/config.json"]


def rows(client: FlaskClient, ids: list[Any], **fields: Any) -> Any:
    answer = client.post("/metadata", data=json.dumps({"ids": ids, **fields}))
    assert answer.status_code == 200, answer.text
    return answer.json


def test_metadata_comes_in_the_order_asked_for(client: FlaskClient, chain: Chain) -> None:
    answers = rows(client, [9, 2, 9, 0], indice_name="emoji")

    assert [answer["id"] for answer in answers] == [9, 2, 9, 0]
    for answer in answers:
        assert set(answer) == {"id", "metadata"}
        assert answer["metadata"]["caption"] == chain.rows[answer["id"]]["caption"]
        assert "image" in answer["metadata"]


def test_no_ids_no_rows(client: FlaskClient) -> None:
    assert rows(client, []) == []


@pytest.mark.parametrize("unknown", [-1, 60_000, 2**63, -(2**70)])
def test_an_unknown_id_is_reported_and_does_not_shift_the_others(
    client: FlaskClient, chain: Chain, unknown: int
) -> None:
    answers = rows(client, [4, unknown, 5], images="none")

    assert [answer["id"] for answer in answers] == [4, unknown, 5]
    assert answers[0]["metadata"]["caption"] == chain.rows[4]["caption"]
    assert answers[2]["metadata"]["caption"] == chain.rows[5]["caption"]
    assert answers[1]["metadata"] == {}
    assert str(unknown) in answers[1]["message"]
    assert answers[1]["code"] == "unknown_id"


def test_indices_are_listed_in_the_order_of_the_file(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    names = ["zebra", "ant", "Ä b/c"]
    client = serve_app({name: IndexOptions(chain.index) for name in names}).test_client()
    assert client.get("/indices-list").json == names


def test_the_page_is_told_where_to_start(serve_app: Callable[..., Flask], chain: Chain) -> None:
    indices = {"one": IndexOptions(chain.index), "two": IndexOptions(chain.index)}
    plain = serve_app(indices).test_client().get("/config.json")
    assert plain.json == {"defaultBackend": "", "defaultIndex": "one", "urlColumn": "url"}

    told = serve_app(
        indices, default_backend="http://there:1/", default_index="two", url_column="link"
    )
    assert told.test_client().get("/config.json").json == {
        "defaultBackend": "http://there:1/",
        "defaultIndex": "two",
        "urlColumn": "link",
    }


def test_metrics_have_the_names_that_dashboards_query(client: FlaskClient) -> None:
    client.post("/knn-service", data='{"text": "a"}')
    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    for step in STEPS:
        for suffix in ("_sum ", "_count ", "_bucket{le="):
            assert f"\n{step}{suffix}" in answer.text


def test_a_query_is_counted_once_in_each_of_its_steps(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    client = serve_app({"emoji": IndexOptions(chain.index)}).test_client()
    client.post("/knn-service", data='{"text": "a", "deduplicate": true}')

    text = client.get("/metrics").text
    counts = {s: float(re.search(rf"^{s}_count (\S+)", text, re.M)[1]) for s in STEPS}  # type: ignore[index]
    steps = ("full_knn_request", "text_clip_inference", "text_prepro", "metadata_get")
    used = {f"{step}_time" for step in (*steps, "knn_index", "dedup")}
    assert counts == {step: float(step in used) for step in STEPS}


def test_the_summary_is_for_people(client: FlaskClient) -> None:
    client.post("/knn-service", data='{"text": "a"}')
    answer = client.get("/metrics-summary")
    assert answer.mimetype == "text/plain"
    assert re.search(r"\d+ calls .* on average", answer.text)
    assert all(step in answer.text for step in STEPS)


def test_the_page_and_its_files(client: FlaskClient) -> None:
    page = client.get("/", buffered=True)
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    assert "<!doctype html>" in page.text.lower()
    assert client.get("/index.html", buffered=True).text == page.text

    links = set(re.findall(r'(?:src|href)="([^"#:]+)"', page.text)) - {"./"}
    assert links
    for link in links:
        answer = client.get(f"/{link}", buffered=True)
        assert answer.status_code == 200, link
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_is_not_sent_twice(client: FlaskClient) -> None:
    etag = client.get("/", buffered=True).headers["ETag"]
    again = client.get("/", headers={"If-None-Match": etag}, buffered=True)
    assert again.status_code == 304


@pytest.mark.parametrize("path", JSON_ROUTES)
def test_every_origin_may_call(client: FlaskClient, path: str) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    asked = client.options(
        path,
        headers={
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] in ("*", origin["Origin"])
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert asked.headers["Access-Control-Allow-Headers"] == "content-type"

    for answer in (client.get(path, headers=origin), client.post(path, headers=origin)):
        assert answer.headers["Access-Control-Allow-Origin"] in ("*", origin["Origin"])


def test_origins_can_be_chosen(serve_app: Callable[..., Flask], chain: Chain) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)}, cors_origins=("https://mine.example",))
    client = app.test_client()

    def allowed(origin: str) -> str | None:
        answer = client.get("/indices-list", headers={"Origin": origin})
        return answer.headers.get("Access-Control-Allow-Origin")

    assert allowed("https://mine.example") == "https://mine.example"
    assert allowed("https://other.example") is None


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_repeated_slashes_work(client: FlaskClient, slashes: str) -> None:
    def call(method: str, path: str, body: str | None = None) -> Any:
        # In a URL of the test client the first name would be taken for a host.
        answer = client.open(
            "/", method=method, data=body, environ_overrides={"PATH_INFO": slashes + path}
        )
        assert answer.status_code == 200, answer.text
        return answer.json

    assert call("GET", "indices-list") == ["emoji"]
    assert len(call("POST", "knn-service", '{"text": "a", "num_images": 1}')) == 1
    assert len(call("POST", "metadata", '{"ids": [1]}')) == 1
