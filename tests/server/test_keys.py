"""A server with keys: who is let in where."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from search_back.cli import main
from search_back.config import IndexOptions
from search_back.guard import add_key, read_keys, remove_key
from search_back.server.admission import scope_of
from tests.conftest import Chain, start_server, wait_for

# Every route, and what a key must allow: whoever adds one says here what it needs.
NEEDS = {
    ("/", "GET"): None,
    ("/<path:path>", "GET"): None,
    ("/config.json", "GET"): None,
    ("/docs", "GET"): None,
    ("/openapi.json", "GET"): None,
    ("/health", "GET"): None,
    ("/ready", "GET"): None,
    ("/metrics", "GET"): "read",
    ("/metrics-summary", "GET"): "read",
    ("/knn-service", "GET"): "read",
    ("/knn-service", "POST"): "read",
    ("/metadata", "GET"): "read",
    ("/metadata", "POST"): "read",
    ("/indices-list", "GET"): "read",
    ("/v1/indices", "GET"): "read",
    ("/v1/indices/<path:name>", "GET"): "read",
    ("/indices/<path:name>", "GET"): "read",
    ("/indices/<path:name>/thumbnails/<int:id_>", "GET"): "read",
    ("/indices/<path:name>/pictures/<int:id_>", "GET"): "read",
    ("/v1/search", "POST"): "read",
    ("/v1/map", "POST"): "read",
    ("/admin/reload", "POST"): "admin",
}
CALLS = [
    ("POST", "/knn-service", {"text": "a", "num_images": 1}),
    ("POST", "/metadata", {"ids": [1]}),
    ("POST", "/v1/search", {"query": "a", "k": 1}),
    ("POST", "/v1/map", {"sample": 3}),
    ("GET", "/indices-list", None),
    ("GET", "/v1/indices", None),
    ("GET", "/indices/emoji", None),
    ("GET", "/indices/emoji/thumbnails/1", None),
    ("GET", "/indices/emoji/pictures/1", None),
    ("GET", "/metrics", None),
]
Call = Callable[..., TestResponse]


class Guarded:
    """An app with keys, and the keys."""

    def __init__(self, make: Callable[..., Flask], chain: Chain, path: Path, **settings: Any):
        self.path = path
        self.keys = {scope: add_key(path, scope, scopes=[scope]) for scope in ("read", "admin")}
        self.app = make({"emoji": IndexOptions(chain.index)}, keys_file=path, **settings)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        given = {"Authorization": f"Bearer {key}"} if key else {}
        data = None if body is None else json.dumps(body)
        client: FlaskClient = self.app.test_client()
        return client.open(
            path, method=method, data=data, headers={**given, **(headers or {})}, buffered=True
        )


@pytest.fixture
def guarded(serve_app: Callable[..., Flask], chain: Chain, tmp_path: Path) -> Guarded:
    return Guarded(serve_app, chain, tmp_path / "keys.json")


def test_every_route_says_what_it_needs(app: Flask) -> None:
    found = {
        (rule.rule, method): scope_of(rule.endpoint, rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == NEEDS


def test_a_route_that_nobody_thought_of_needs_the_right_to_write() -> None:
    assert scope_of("new.thing", "/v2/thing", "POST") == "write"
    assert scope_of("new.thing", "/v2/thing", "DELETE") == "write"
    assert scope_of("new.thing", "/admin/thing", "GET") == "admin"


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a_key_with_its_scope_is_let_in(
    guarded: Guarded, method: str, path: str, body: Any
) -> None:
    refused = guarded.call(method, path, body)
    assert refused.status_code == 401
    assert refused.json["code"] == "unauthorized"
    assert "Authorization: Bearer KEY" in refused.json["message"]
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="search_back"'
    wrong = guarded.call(method, path, body, key=guarded.keys["read"][:-1])
    assert wrong.status_code == 401
    assert guarded.keys["read"][12:30] not in wrong.text
    other = guarded.call(method, path, body, key=guarded.keys["admin"])
    assert (other.status_code, other.json["code"]) == (403, "forbidden")
    assert "'read'" in other.json["message"]
    assert guarded.call(method, path, body, key=guarded.keys["read"]).status_code == 200
    as_header = {"X-API-Key": guarded.keys["read"], "Authorization": "Basic YTpi"}
    assert guarded.call(method, path, body, headers=as_header).status_code == 200


@pytest.mark.parametrize("path", ["/", "/js/main.js", "/config.json", "/health", "/ready"])
def test_the_page_and_the_probes_need_none(guarded: Guarded, path: str) -> None:
    assert guarded.call("GET", path).status_code in (200, 503 if path == "/ready" else 200)


def test_who_has_no_key_is_not_told_the_names_of_indices(
    guarded: Guarded, client: FlaskClient
) -> None:
    assert set(guarded.call("GET", "/ready").json) == {"ready", "warm"}
    assert set(client.get("/ready").json["indices"]) == {"emoji"}


@pytest.mark.parametrize(("method", "path"), [("POST", "/nowhere"), ("PUT", "/knn-service")])
def test_what_is_not_there_needs_none(guarded: Guarded, method: str, path: str) -> None:
    assert guarded.call(method, path).status_code == 405


def test_metrics_may_be_public(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Path
) -> None:
    guarded = Guarded(serve_app, chain, tmp_path / "keys.json", public_metrics=True)
    assert guarded.call("GET", "/metrics").status_code == 200
    assert guarded.call("GET", "/metrics-summary").status_code == 200
    assert guarded.call("GET", "/indices-list").status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "hit"),
    [
        ("/knn-service", {"text": "a", "num_images": 2, "images": "link"}, lambda a: a[0]),
        ("/metadata", {"ids": [1, 2], "images": "link"}, lambda a: a[0]["metadata"]),
        ("/v1/search", {"query": "a", "k": 2}, lambda a: a["hits"][0]),
    ],
)
def test_addresses_of_pictures_carry_their_own_leave(
    guarded: Guarded, path: str, body: Any, hit: Callable[[Any], Any]
) -> None:
    answer = guarded.call("POST", path, body, key=guarded.keys["read"])
    found = hit(answer.json)
    for address in (
        found["thumbnail_url"],
        found["picture_url"],
        found["thumbnail_url"] + "&size=9",
    ):
        shown = guarded.call("GET", address)
        assert shown.status_code == 200, shown.text
        assert shown.mimetype.startswith("image/")
    route, _, query = found["picture_url"].partition("?")
    elsewhere = route.rpartition("/")[0] + "/3"
    for forged in (route, f"{elsewhere}?{query}", f"{route}?{query[:-1]}", f"{route}?signature="):
        assert guarded.call("GET", forged).status_code == 401, forged
    assert guarded.call("GET", f"/indices-list?{query}").status_code == 401


def test_without_keys_addresses_are_plain(client: FlaskClient) -> None:
    body = {"text": "a", "num_images": 1, "images": "link"}
    hit = client.post("/knn-service", data=json.dumps(body)).json[0]
    assert "?" not in hit["thumbnail_url"] + hit["picture_url"]


def test_admin_needs_its_scope_and_then_asks_no_more(guarded: Guarded) -> None:
    assert guarded.call("POST", "/admin/reload").status_code == 401
    assert guarded.call("POST", "/admin/reload", key=guarded.keys["read"]).status_code == 403
    answer = guarded.call(
        *("POST", "/admin/reload"),
        key=guarded.keys["admin"],
        headers={"X-Forwarded-For": "192.0.2.1", "Host": "search.example"},
    )
    assert answer.status_code == 200, answer.text


def test_a_reload_takes_up_the_keys(guarded: Guarded) -> None:
    late = add_key(guarded.path, "late", scopes=["read"])
    remove_key(guarded.path, "read")
    assert guarded.call("GET", "/indices-list", key=late).status_code == 401
    assert guarded.call("POST", "/admin/reload", key=guarded.keys["admin"]).status_code == 200
    assert guarded.call("GET", "/indices-list", key=late).status_code == 200
    assert guarded.call("GET", "/indices-list", key=guarded.keys["read"]).status_code == 401
    assert len(read_keys(guarded.path)) == 2


def test_a_preflight_carries_no_key(guarded: Guarded) -> None:
    asked = guarded.call(
        *("OPTIONS", "/knn-service"),
        headers={
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-api-key",
        },
    )
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Headers"] == "authorization, x-api-key"


@pytest.mark.parametrize("kind", ["gunicorn", "waitress"])
def test_processes_take_each_others_signatures_and_reread_the_keys(
    chain: Chain, tmp_path: Path, kind: str
) -> None:
    path, log = tmp_path / "keys.json", tmp_path / "log"
    first = {"X-API-Key": add_key(path, "first", scopes=["read", "admin"])}
    workers = [] if kind == "waitress" else ["--workers", "2"]
    arguments = ["--index-folder", str(chain.index), "--keys-file", str(path), "--server", kind]
    server = start_server([*arguments, *workers], log=log)
    try:
        body = json.dumps({"id": 1, "num_images": 1, "images": "link"})
        for _ in range(6):
            answer = requests.post(f"{server.url}/knn-service", body, headers=first, timeout=30)
            address = answer.json()[0]["thumbnail_url"]
            assert requests.get(server.url + address, timeout=30).status_code == 200
        second = {"X-API-Key": add_key(path, "second", scopes=["read"])}
        remove_key(path, "first")
        server.process.send_signal(signal.SIGHUP)

        def statuses(headers: dict[str, str]) -> set[int]:
            ask = f"{server.url}/indices-list"
            return {requests.get(ask, headers=headers, timeout=30).status_code for _ in range(6)}

        wait_for(lambda: statuses(second) == {200} and statuses(first) == {401}, log=log)
    finally:
        assert server.stop() == 0, log.read_text()


def test_a_server_with_a_bad_file_of_keys_does_not_start(tmp_path: Path) -> None:
    arguments = ["back", "--index-folder", "x", "--keys-file", str(tmp_path / "keys.json")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "keys add NAME" in result.output
