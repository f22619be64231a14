"""What every answer tells a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions
from search_back.guard import add_key
from search_back.server.front import front_folder
from tests.conftest import Chain

ORIGIN = "https://elsewhere.example"


def test_the_page_may_do_what_it_does_and_nothing_else(client: FlaskClient) -> None:
    headers = client.get("/", buffered=True).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' http: https: data: blob:",
        "connect-src": "'self' http: https:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize("path", ["/", "/js/main.js", "/indices-list", "/nowhere", "/metrics"])
def test_every_answer_is_what_it_says_and_tells_nobody_where_from(
    client: FlaskClient, path: str
) -> None:
    headers = client.get(path, buffered=True).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_has_no_script_and_no_style_of_its_own_in_its_text() -> None:
    text = (front_folder() / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<script(?![^>]* src=)", text)
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)


@pytest.mark.parametrize("path", ["/indices-list", "/health", "/metrics", "/nowhere"])
def test_answers_to_those_with_keys_are_not_stored(
    serve_app: Callable[..., Flask],
    chain: Chain,
    tmp_path: Path,
    client: FlaskClient,
    path: str,
) -> None:
    key = add_key(tmp_path / "keys.json", "a", scopes=["read"])
    app = serve_app({"emoji": IndexOptions(chain.index)}, keys_file=tmp_path / "keys.json")
    keyed = app.test_client().get(path, headers={"X-API-Key": key})
    assert keyed.headers["Cache-Control"] == "no-store"
    assert client.get(path).headers["Cache-Control"] == "no-cache"


def preflight(client: FlaskClient, asked_for: str, path: str = "/v1/search") -> str | None:
    answer = client.options(
        path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked_for,
        },
    )
    assert answer.status_code == 200
    return answer.headers.get("Access-Control-Allow-Headers")


def test_pages_of_other_origins_may_send_these_headers_only(client: FlaskClient) -> None:
    allowed = "authorization, content-type, x-api-key, x-request-id, x-request-timeout"
    assert preflight(client, allowed) == allowed
    assert preflight(client, "content-type, x-forwarded-for") == "content-type"
    assert preflight(client, "cookie") is None


def test_no_origin_may_send_cookies(client: FlaskClient) -> None:
    headers = client.get("/indices-list", headers={"Origin": ORIGIN}).headers
    assert headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("origins", [(), ("https://mine.example",)])
def test_origins_that_are_not_named_are_told_nothing(
    serve_app: Callable[..., Flask], chain: Chain, origins: tuple[str, ...]
) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)}, cors_origins=origins)
    for answer in (
        app.test_client().get("/indices-list", headers={"Origin": ORIGIN}),
        app.test_client().post("/knn-service", headers={"Origin": ORIGIN}, data="{"),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_errors_of_the_door_can_be_read_by_pages_of_other_origins(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Path
) -> None:
    add_key(tmp_path / "keys.json", "a", scopes=["read"])
    app = serve_app({"emoji": IndexOptions(chain.index)}, keys_file=tmp_path / "keys.json")
    answer = app.test_client().post(
        "/knn-service", data=json.dumps({"text": "a"}), headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
