"""gzip: what is made smaller, for whom, and that it is the same after."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from search_back.server.arrow import ARROW_STREAM
from search_back.server.compression import LEAST_BYTES, compress

GZIP = {"Accept-Encoding": "gzip, br"}
SEARCH = {"query": "a", "k": 40}


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, data=json.dumps(body), headers=given)


@pytest.mark.parametrize(
    "path", ["/", "/js/main.js", "/css/base.css", "/v1/indices", "/favicon.svg"]
)
def test_the_same_in_fewer_bytes(client: FlaskClient, path: str) -> None:
    plain = client.get(path, buffered=True)
    small = client.get(path, headers=GZIP, buffered=True)
    for answer in (plain, small):
        assert "Accept-Encoding" in answer.vary
        assert int(answer.headers["Content-Length"]) == len(answer.data)
    if len(plain.data) < LEAST_BYTES:
        assert "Content-Encoding" not in small.headers
        return
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.data) == plain.data
    assert len(small.data) < len(plain.data) / 2
    head = client.head(path, headers=GZIP, buffered=True)
    assert head.headers["Content-Length"] == small.headers["Content-Length"]
    assert not head.data


def test_a_result_is_made_smaller(client: FlaskClient) -> None:
    plain = post(client, "/v1/search", SEARCH)
    small = post(client, "/v1/search", SEARCH, Accept_Encoding="gzip")
    assert small.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(small.data))["hits"] == plain.json["hits"]
    assert set(small.vary) == {"Accept", "Accept-Encoding"}
    assert len(small.data) < len(plain.data) / 2


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "*;q=0", "gzip;q=0, *"])
def test_who_does_not_take_it_does_not_get_it(client: FlaskClient, accepted: str) -> None:
    answer = client.get("/", headers={"Accept-Encoding": accepted}, buffered=True)
    assert "Content-Encoding" not in answer.headers
    assert answer.data.startswith(b"<!doctype html>")


def test_pictures_and_arrow_streams_stay_as_they_are(client: FlaskClient) -> None:
    for path in ("/indices/emoji/thumbnails/1", "/indices/emoji/pictures/1"):
        answer = client.get(path, headers=GZIP, buffered=True)
        assert "Content-Encoding" not in answer.headers
        assert "Accept-Encoding" not in answer.vary
    stream = post(client, "/v1/search", SEARCH, Accept=ARROW_STREAM, **{"Accept_Encoding": "gzip"})
    assert stream.mimetype == ARROW_STREAM
    assert "Content-Encoding" not in stream.headers


def test_pictures_in_base64_are_left_as_they_are(client: FlaskClient) -> None:
    body = {"text": "a", "num_images": 40}
    answer = post(client, "/knn-service", body, Accept_Encoding="gzip")
    assert len(answer.data) > 100_000
    assert "Content-Encoding" not in answer.headers
    assert "image" in answer.json[0]


def test_what_a_browser_has_is_not_sent_again(client: FlaskClient) -> None:
    plain = client.get("/js/main.js", buffered=True)
    small = client.get("/js/main.js", headers=GZIP, buffered=True)
    assert small.headers["ETag"] == f"W/{plain.headers['ETag']}"
    for etag in (plain.headers["ETag"], small.headers["ETag"]):
        again = client.get("/js/main.js", headers={**GZIP, "If-None-Match": etag}, buffered=True)
        assert (again.status_code, again.data) == (304, b"")
        assert "Accept-Encoding" in again.vary


def test_a_part_of_a_file_is_a_part_of_the_file(client: FlaskClient) -> None:
    whole = client.get("/js/main.js", buffered=True).data
    part = client.get("/js/main.js", headers={**GZIP, "Range": "bytes=10-1999"}, buffered=True)
    assert part.status_code == 206
    assert part.data == whole[10:2000]
    assert "Content-Encoding" not in part.headers
    small = client.get("/js/main.js", headers=GZIP, buffered=True)
    assert "Accept-Ranges" not in small.headers


@pytest.mark.parametrize(("size", "smaller"), [(LEAST_BYTES - 1, False), (LEAST_BYTES, True)])
def test_small_answers_are_not_worth_it(size: int, smaller: bool) -> None:
    with Flask("x").test_request_context(headers=GZIP):
        answer = compress(Response(b"a" * size, mimetype="application/json"))
    assert ("Content-Encoding" in answer.headers) == smaller


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer.headers.__setitem__("Content-Encoding", "br"),
        lambda answer: setattr(answer, "status_code", 206),
        lambda answer: setattr(answer, "mimetype", "image/jpeg"),
        lambda answer: setattr(answer, "mimetype", ARROW_STREAM),
    ],
)
def test_what_is_not_to_be_touched(change: Callable[[Response], None]) -> None:
    with Flask("x").test_request_context(headers=GZIP):
        answer = Response(b"a" * 5000, mimetype="application/json")
        change(answer)
        assert compress(answer).data == b"a" * 5000
