"""What is counted of each request, and of those that no thread took up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from search_back.config import IndexOptions
from search_back.server.listening import ARRIVED, Bounds, HttpServer
from tests.conftest import Chain
from tests.metrics.test_shared import samples

TOTAL = "search_back_requests_total"


@pytest.fixture
def app(serve_app: Callable[..., Flask], chain: Chain) -> Flask:
    return serve_app({"emoji": IndexOptions(chain.index)})


def counted(app: Flask) -> dict[str, float]:
    return samples(app.test_client().get("/metrics").text)


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("POST", "/knn-service", "/knn-service", 400),
        ("GET", "/indices/emoji/thumbnails/3", "/indices/<path:name>/thumbnails/<int:id_>", 200),
        (
            "GET",
            "/indices/emoji/thumbnails/999999",
            "/indices/<path:name>/thumbnails/<int:id_>",
            404,
        ),
        ("GET", "/no/such/file", "/<path:path>", 404),
        ("DELETE", "/no/such/file", "none", 405),
        ("OPTIONS", "/knn-service", "/knn-service", 200),
    ],
)
def test_a_request_is_counted_by_the_pattern_of_its_path(
    app: Flask, method: str, path: str, route: str, status: int
) -> None:
    app.test_client().open(path, method=method, buffered=True)
    values = counted(app)
    assert {name for name in values if name.startswith(TOTAL)} == {
        f"{TOTAL}{{method={method},route={route},status={status}}}"
    }
    assert values[f"search_back_request_seconds_count{{route={route}}}"] == 1


def test_a_method_that_nobody_knows_makes_no_series_of_its_own(app: Flask) -> None:
    for method in ("BREW", "STEEP"):
        app.test_client().open("/knn-service", method=method)
    assert counted(app)[f"{TOTAL}{{method=other,route=none,status=405}}"] == 2


def test_the_wait_for_a_thread_is_part_of_a_request(app: Flask) -> None:
    environ = {ARRIVED: time.monotonic() - 3.0}
    app.test_client().get("/health", environ_overrides=environ)
    values = counted(app)
    assert values["search_back_request_wait_seconds_count"] == 1
    assert values["search_back_request_wait_seconds_sum"] >= 3.0
    assert values["search_back_request_seconds_sum{route=/health}"] >= 3.0


def test_what_caches_of_an_index_had_is_counted(app: Flask) -> None:
    client = app.test_client()
    body = {"query": "a", "filter": "id < 30", "k": 2, "index": "emoji"}
    cursor = client.post("/v1/search", json=body).json["cursor"]  # type: ignore[index]
    client.post("/v1/search", json={**body, "cursor": cursor})
    client.post("/v1/search", json={**body, "query": "b"})
    for _ in range(3):
        client.get("/indices/emoji/thumbnails/3")
    values = counted(app)
    found = {
        cache: tuple(
            values[f"search_back_cache_lookups_total{{cache={cache},result={result}}}"]
            for result in ("hit", "miss")
        )
        for cache in ("masks", "results", "thumbnails")
    }
    assert found == {"masks": (2, 1), "results": (1, 2), "thumbnails": (2, 1)}


def no_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise AssertionError("nothing should get here")


Send = Callable[..., tuple[bytes, list[str]]]


@pytest.fixture
def send() -> Iterator[Send]:
    """Sends bytes to a server that takes up nothing: its answer, and what it told of it."""
    stop: list[Callable[[], None]] = []

    def sent(request: bytes, **bounds: float) -> tuple[bytes, list[str]]:
        listener = socket.create_server(("127.0.0.1", 0))
        refused: list[str] = []
        limits: dict[str, Any] = {"threads": 1, "max_waiting": 0, "max_body_bytes": 100, **bounds}
        server = HttpServer(no_app, listener, Bounds(**limits), refused=refused.append)
        ended = threading.Event()
        loop = threading.Thread(target=server.serve, args=(ended.is_set,))
        loop.start()

        def finish() -> None:
            ended.set()
            server.pull_trigger()
            loop.join()
            server.drain(0.0)
            server.close()

        stop.append(finish)
        with socket.create_connection(listener.getsockname(), timeout=20) as client:
            client.sendall(request)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        return answer, refused

    yield sent
    for finish in stop:
        finish()


def test_a_request_too_many_is_told(send: Send) -> None:
    answer, refused = send(b"GET /indices-list HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert refused == ["overloaded"]


def test_what_is_no_request_is_told(send: Send) -> None:
    answer, refused = send(b"GET / HTTP/1.1\r\nno header at all\r\n\r\n", max_waiting=1)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.0 400 ")
    assert refused == ["bad_request"]


def test_a_request_that_does_not_arrive_in_time_is_told_once(send: Send) -> None:
    answer, refused = send(b"GET / HTTP/1.1\r\nHo", header_s=0.0)
    assert answer == b""
    assert refused == ["too_slow"]
