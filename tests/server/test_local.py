"""Without keys the routes of /admin are this machine's own; and who is believed about addresses."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from search_back.config import IndexOptions
from search_back.server.proxies import behind_proxies
from tests.conftest import Chain


def reload_(
    app: Flask, *, peer: str = "127.0.0.1", host: str = "localhost:1234", **headers: str
) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = app.test_client().post(
        "/admin/reload",
        headers={"Host": host, **given},
        environ_overrides={"REMOTE_ADDR": peer, "HTTP_HOST": host},
    )
    assert answer.status_code == 200 or answer.json["code"] == "forbidden"
    assert "Access-Control-Allow-Origin" not in answer.headers
    return answer.status_code


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost:1234", "127.0.0.1:1234", "[::1]:1234", "LOCALHOST"])
def test_this_machine_may(app: Flask, peer: str, host: str) -> None:
    assert reload_(app, peer=peer, host=host) == 200
    assert reload_(app, peer=peer, host=host, Sec_Fetch_Site="same-origin") == 200


def test_so_may_the_servers_own_page(app: Flask) -> None:
    assert reload_(app, Origin="http://localhost:1234") == 200


@pytest.mark.parametrize(
    "why",
    [
        {"peer": "192.0.2.7"},
        {"peer": "::ffff:192.0.2.7"},
        {"peer": "2001:db8::1"},
        {"peer": "nonsense"},
        {"peer": ""},
        {"X_Forwarded_For": "127.0.0.1"},
        {"X_Forwarded_Host": "localhost"},
        {"X_Forwarded_Proto": "http"},
        {"Forwarded": "for=127.0.0.1"},
        {"X_Real_IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:4321"},
        {"Origin": "https://localhost:1234"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"host": "rebound.example:1234"},
        {"host": "rebound.example", "Origin": "http://rebound.example"},
        {"host": "localhost.example"},
        {"host": "0.0.0.0:1234"},
        {"host": ""},
        {"host": "[::1"},
    ],
)
def test_nobody_else_may(app: Flask, why: dict[str, str]) -> None:
    assert reload_(app, **why) == 403


def test_the_bound_name_may_be_used(serve_app: Callable[..., Flask], chain: Chain) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)}, host="search.internal")
    assert reload_(app, host="search.internal:1234") == 200
    assert reload_(app, host="other.internal:1234") == 403


def test_a_trusted_proxy_is_not_this_machine(serve_app: Callable[..., Flask], chain: Chain) -> None:
    trusted = (ip_network("127.0.0.0/8"),)
    app = serve_app({"emoji": IndexOptions(chain.index)}, trusted_proxies=trusted)
    assert reload_(app) == 403
    assert reload_(app, X_Forwarded_For="127.0.0.1") == 403
    assert reload_(app, peer="::1") == 200


def test_pages_of_other_origins_are_not_told_that_they_may(client: FlaskClient) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for path in ("/admin/reload", "//admin//reload"):
        asked = client.options(
            "/", headers=headers, environ_overrides={"PATH_INFO": path, "REQUEST_URI": path}
        )
        assert asked.status_code == 200
        assert not [name for name, _ in asked.headers if name.startswith("Access-Control")]


def seen(
    peer: str,
    headers: dict[str, str],
    *,
    trusted: tuple[str, ...] = ("10.0.0.0/8",),
    count: int = 1,
) -> tuple[Any, ...]:
    """The address, scheme and host that an app sees."""
    app = Flask("seen")
    app.add_url_rule("/", view_func=lambda: [request.remote_addr, request.scheme, request.host])
    networks = tuple(ip_network(network) for network in trusted)
    app.wsgi_app = behind_proxies(  # type: ignore[method-assign, assignment]
        app.wsgi_app, trusted=networks, count=count
    )
    answer = app.test_client().get("/", headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    return tuple(answer.json)


TOLD = {
    "X-Forwarded-For": "198.51.100.1, 192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "search.example",
}


def test_only_trusted_proxies_are_believed() -> None:
    assert seen("10.1.2.3", TOLD) == ("192.0.2.1", "https", "search.example")
    assert seen("::ffff:10.1.2.3", TOLD) == ("192.0.2.1", "https", "search.example")
    assert seen("11.1.2.3", TOLD) == ("11.1.2.3", "http", "localhost")
    assert seen("10.1.2.3", TOLD, trusted=()) == ("10.1.2.3", "http", "localhost")


def test_what_stands_before_the_entries_of_the_proxies_is_nobodys_word() -> None:
    assert seen("10.1.2.3", TOLD, count=2)[0] == "198.51.100.1"
    forged = TOLD | {"X-Forwarded-For": "127.0.0.1, 127.0.0.1, 192.0.2.1"}
    assert seen("10.1.2.3", forged)[0] == "192.0.2.1"
    assert seen("10.1.2.3", {"Forwarded": "for=127.0.0.1"})[0] == "10.1.2.3"
