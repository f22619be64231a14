"""Addresses that lead where no stranger should get, through the routes that take addresses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from search_back.config import IndexOptions
from search_back.fetch import Fetcher
from search_back.server import create_app
from search_back.services import Services
from tests.conftest import Chain

# PORT is the listener's.
HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "127.127.127.127", "0", "0.0.0.0", "0.1", "2130706433",
    "0x7f000001", "0x7f.0x0.0x0.0x1", "0x7f.1", "0177.0.0.1", "017700000001", "0177.0x0.1",
    "127.0.0.1.", "localhost", "localhost.", "LocalHost", "localhost.localdomain", "x.localhost",
    "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[::1%25lo]",
    "[fc00::1]",
    "[fd00:ec2::254]", "[ff02::1]", "[::ffff:169.254.169.254]", "10.0.0.1", "172.16.0.1",
    "192.168.0.1", "100.64.0.1", "169.254.169.254", "169.254.169.254.", "0xa9fea9fe", "2852039166",
    "0251.0376.0251.0376", "224.0.0.1", "255.255.255.255", "printer.local", "metadata.invalid",
    "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "loc\u00adalhost",
    "%31%32%37.0.0.1", "127.0.0.1%00.example.org", "127.0.0.1%2eexample",
]  # fmt: skip
ADDRESSES = [
    *(f"http://{host}:PORT/a.png" for host in HOSTS),
    "https://127.0.0.1:PORT/", "HTTP://127.0.0.1:PORT/", "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT",
    "http:///127.0.0.1:PORT/", "http:\\\\127.0.0.1:PORT\\", "http://127.0.0.1:PORT\\@example.org/",
    "http://example.org@127.0.0.1:PORT/", "http://example.org:80@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@example.org/", "http://127.0.0.1:PORT?@example.org/",
    "http://127.0.0.1:PORT;@example.org/", "http://example.org\\@127.0.0.1:PORT/",
    "http://example.org%40127.0.0.1:PORT/", "http://127.0.0.1:PORT:80/", "http://127.0.0.1:0PORT/",
    "http://127.0.0.1: PORT/", "http://127.0.0.1:+PORT/",
    "http://127.0.0.1:PORT/\r\nHost: example.org",
    "http://127.0.0.1\r\n:PORT/", "http://127.0.0.1:PORT/%0d%0aHost:%20example.org",
    "http://127.0.0.1\t:PORT/",
    "//127.0.0.1:PORT/", "file://127.0.0.1:PORT/", "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_GET",
    "dict://127.0.0.1:PORT/", "ldap://127.0.0.1:PORT/", "jar:http://127.0.0.1:PORT/!/",
    "view-source:http://127.0.0.1:PORT/",
    "ws://127.0.0.1:PORT/", "unix://127.0.0.1:PORT/", "blob:http://127.0.0.1:PORT/",
    "url:http://127.0.0.1:PORT/",
]  # fmt: skip


class Trap:
    """A listener that counts who comes."""

    def __init__(self) -> None:
        self.caught = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            plain, _ = self._listener.accept()
            with plain:
                if plain.recv(4) == b"stop":
                    return
                self.caught += 1

    def close(self) -> None:
        """Whoever came before has been counted then."""
        with socket.create_connection(("127.0.0.1", self.port)) as plain:
            plain.sendall(b"stop")
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()
    assert trap.caught == 0


@pytest.fixture
def strict(serve_app: Callable[..., Flask], chain: Chain) -> Any:
    return serve_app({"emoji": IndexOptions(chain.index)}).test_client()


def body_of(route: str, address: str) -> dict[str, Any]:
    if route == "/knn-service":
        return {"image_url": address}
    return {"query": [{"image_url": address}]}


def test_none_is_reached_and_each_is_told(strict: Any, trap: Trap) -> None:
    assert len(ADDRESSES) >= 60
    for address in ADDRESSES:
        for route in ("/v1/search", "/knn-service"):
            answer = strict.post(
                route, json=body_of(route, address.replace("PORT", str(trap.port)))
            )
            assert answer.status_code in (400, 413, 422), (address, answer.text)
            assert answer.json["code"] in ("fetch_refused", "fetch_failed"), (address, answer.text)
            assert trap.caught == 0, address


@pytest.mark.parametrize("route", ["/v1/search", "/knn-service"])
def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch, trap: Trap, route: str
) -> None:
    """First a public address, which nobody here reaches; then this machine."""
    answers = iter([["203.0.113.9", "8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    limits = type(services.settings.limits)()
    monkeypatch.setattr(
        services, "_fetcher", Fetcher(limits, resolver=lambda host, port: next(answers))
    )
    client = create_app(services).test_client()
    for _ in range(2):
        answer = client.post(route, json=body_of(route, f"http://rebind.example:{trap.port}/"))
        assert answer.status_code == 400
        assert answer.json["code"] == "fetch_refused"
