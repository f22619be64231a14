"""Bodies that mean harm: each is answered in JSON, with a status that says whose fault it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from search_back.server.schemas import (
    InvalidBody,
    KnnRequest,
    MetadataRequest,
    SearchRequest,
    parse,
)
from search_back.server.schemas.bodies import MAX_VALUES

SEARCH, KNN, METADATA = "/v1/search", "/knn-service", "/metadata"
NUMBERS = [2**63 - 1, 2**63, 10**30, 10**400, -1, 0, 1e308, -1e308, 5e-324]
TEXTS = ["", "\0", "a\0b", "\udfff", " \n", "\u202e", "\u200b", "﷽" * 3000, "'", '"', "%", "\\"]


def ask(client: FlaskClient, path: str, body: Any) -> int:
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    answer = client.post(path, data=data)
    assert answer.mimetype == "application/json"
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert answer.json["message"]
        assert len(answer.data) < 20_000
    return answer.status_code


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_beyond_what_fits(client: FlaskClient, number: float) -> None:
    for name in ("k", "threshold", "per_group", "diversity", "aesthetic_score", "aesthetic_weight"):
        ask(client, SEARCH, {"query": "cat", "group_by": "group", name: number})
    for term in (
        {"id": number},
        {"text": "cat", "weight": number},
        {"embedding": [number] * 64},
        {"embedding": [number]},
    ):
        ask(client, SEARCH, {"query": [term]})
    for line in (f"{number}:cat", f"#{number}", f"cat - {number}:dog"):
        ask(client, SEARCH, {"query": line})
    for filter_ in (f"caption = {number}", f"group > {number}"):
        ask(client, SEARCH, {"query": "cat", "filter": filter_})
    for name in ("id", "num_images", "num_result_ids", "aesthetic_weight"):
        ask(client, KNN, {"text": "cat", name: number})
    ask(client, METADATA, {"ids": [number], "images": "none"})


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_that_are_hardly_any(client: FlaskClient, text: str) -> None:
    for name in ("index", "filter", "cursor", "group_by", "deduplicate_by", "modality", "pictures"):
        ask(client, SEARCH, {"query": "cat", name: text})
    for name in ("facets", "columns"):
        ask(client, SEARCH, {"query": "cat", name: [text]})
    for kind in ("text", "image", "image_url"):
        ask(client, SEARCH, {"query": [{kind: text}]})
        ask(client, KNN, {kind: text})
    ask(client, SEARCH, {"query": text})
    for operator in ("=", "contains", "like", "in", ">"):
        ask(client, SEARCH, {"query": "cat", "filter": f"caption {operator} '{text}'"})


@pytest.mark.parametrize(
    "query",
    [
        [{"text": "cat"}, {"text": "cat", "weight": -1}],
        [{"text": "cat", "weight": 0}],
        [{"embedding": [1.0] * 64}, {"embedding": [1.0] * 64, "weight": -1}],
        [{"embedding": [0.0] * 64}],
        "cat - cat",
        "0:cat",
    ],
)
def test_a_query_that_cancels_itself_is_the_callers_fault(client: FlaskClient, query: Any) -> None:
    assert ask(client, SEARCH, {"query": query}) == 400


@pytest.mark.parametrize("deep", ["[" * 50_000, '{"a":' * 50_000, "[" * 900 + "]" * 900])
@pytest.mark.parametrize(("path", "field"), [(SEARCH, "query"), (KNN, "text"), (METADATA, "ids")])
def test_deep_nesting(client: FlaskClient, path: str, field: str, deep: str) -> None:
    assert ask(client, path, f'{{"{field}": {deep}}}') == 400


@pytest.mark.parametrize(
    "filter_",
    [
        "(" * 2000 + "caption = 'a'" + ")" * 2000,
        "not " * 1000 + "caption = 'a'",
        " and ".join(["caption = 'a'"] * 250),
        "caption in (" + ",".join(["'a'"] * 1000) + ")",
        "caption like '" + "%a" * 2000 + "'",
    ],
)
def test_filters_that_go_on_and_on(client: FlaskClient, filter_: str) -> None:
    ask(client, SEARCH, {"query": "cat", "filter": filter_})


def many(item: str, count: int) -> str:
    return f"[{','.join([item] * count)}]"


# Each took minutes and gigabytes where every value was checked and every mistake kept.
@pytest.mark.parametrize("count", [MAX_VALUES - 10, MAX_VALUES + 1])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (KNN, '{"embedding_input": %s}'),
        (METADATA, '{"ids": %s}'),
        (SEARCH, '{"query": %s}'),
        (SEARCH, '{"query": "a", "facets": %s}'),
        (SEARCH, '{"query": "a", "columns": %s}'),
        (SEARCH, '{"query": [{"embedding": %s}]}'),
    ],
)
def test_a_million_mistakes_are_not_all_kept(
    client: FlaskClient, path: str, body: str, count: int
) -> None:
    assert ask(client, path, body % many('"x"', count)) in (400, 413)


@pytest.mark.parametrize("model", [SearchRequest, KnnRequest, MetadataRequest])
def test_an_object_of_a_thousand_fields_is_refused_as_a_whole(model: Any) -> None:
    body = json.dumps({"query": "a", "ids": [], **{f"field{i}": 1 for i in range(1000)}})
    with pytest.raises(InvalidBody, match="at most 100 fields") as caught:
        parse(model, body.encode())
    assert caught.value.errors == []
    body = json.dumps({"query": [{f"field{i}": 1 for i in range(1000)}]})
    with pytest.raises(InvalidBody, match="at most 100 fields"):
        parse(SearchRequest, body.encode())


def test_a_line_of_a_million_terms_is_read_up_to_the_limit(client: FlaskClient) -> None:
    answer = client.post(SEARCH, json={"query": "a + " * 1_000_000 + "a"})
    assert answer.status_code == 413
    assert "max_query_terms is 64 (got: 65)" in answer.json["message"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "",
        ";",
    ],
)
def test_a_body_is_json_whatever_its_content_type_says(
    client: FlaskClient, content_type: str
) -> None:
    answer = client.post(SEARCH, data='{"query": "cat", "k": 1}', content_type=content_type)
    assert answer.status_code == 200, answer.text
    assert len(answer.json["hits"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-Timeout": "nan"},
        {"X-Request-Timeout": "inf"},
        {"X-Request-Timeout": "-1"},
        {"X-Request-Timeout": "１"},
        {"X-Request-Id": "x" * 10_000},
        {"Accept": "*/*;q=1e999," * 500},
        {"Accept": "application/vnd.apache.arrow.stream;q=nan"},
        {"Content-Encoding": "gzip"},
    ],
)
def test_odd_headers_change_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post(SEARCH, data='{"query": "cat", "k": 1}', headers=headers)
    assert answer.status_code == 200
    assert len(answer.headers["X-Request-Id"]) <= 64


@pytest.mark.parametrize(
    "header",
    [
        {"Range": "bytes=9-1"},
        {"Range": "bytes=" + "0-1," * 2000 + "0-1"},
        {"Range": "bytes=99999999999999999999-"},
        {"Range": "lines=1"},
        {"If-Match": "x"},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Mon, 99 Foo 99999999 00:00:00 GMT"},
        {"If-Range": "x", "Range": "bytes=1-2"},
    ],
)
@pytest.mark.parametrize("what", ["thumbnails", "pictures"])
def test_odd_conditions_on_pictures(client: FlaskClient, what: str, header: dict[str, str]) -> None:
    with client.get(f"/indices/emoji/{what}/1", headers=header) as answer:
        assert answer.status_code in (200, 206, 304, 412, 416)


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/\\..\\..\\etc",
        "/css/%00",
        "/css",
        "/" + "a" * 5000,
        "/%ff",
        "/indices/..%2f..%2fetc",
        "/indices/%00",
        "/indices/emoji/pictures/-1",
        "/indices/emoji/pictures/99999999999999999999999",
        "/docs/",
    ],
)
def test_odd_paths_are_not_there(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/json")


def test_no_error_of_the_terms_is_lost() -> None:
    """What stops reading at the first mistake still names it."""
    with pytest.raises(InvalidBody, match=r"embedding_input\.1"):
        parse(KnnRequest, b'{"embedding_input": [1, "x", "y"]}')
