"""Clients that hold connections, drop them, or take their time: others are answered meanwhile."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.abuse.conftest import PATIENCE_S, asking
from tests.conftest import LiveServer

ITEM = {"query": "#3", "index": "emoji", "k": 3, "pictures": "none"}
HEAD = b"POST /v1/search HTTP/1.1\r\nHost: x\r\n"


def connect(server: LiveServer) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((str(parts.hostname), parts.port), timeout=PATIENCE_S)


@contextmanager
def held(server: LiveServer, count: int, said: bytes) -> Iterator[list[socket.socket]]:
    """That many connections, on each of which so much has been said."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            plain = stack.enter_context(connect(server))
            plain.sendall(said)
            sockets.append(plain)
        yield sockets


def check_that_others_are_answered(server: LiveServer) -> None:
    for _ in range(10):
        answer = requests.post(f"{server.url}/v1/search", json=ITEM, timeout=PATIENCE_S)
        assert answer.status_code == 200
        assert requests.get(f"{server.url}/health", timeout=PATIENCE_S).status_code == 200


def test_heads_byte_by_byte(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    with held(server, 350, HEAD[:9]) as sockets:
        for byte in HEAD[9:20]:
            for plain in sockets:
                plain.sendall(bytes([byte]))
        check_that_others_are_answered(server)


def test_bodies_that_do_not_come(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    with held(server, 300, HEAD + b'Content-Length: 1000000\r\n\r\n{"query"'):
        check_that_others_are_answered(server)
    with held(server, 300, HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n"):
        check_that_others_are_answered(server)


def test_more_connections_than_may_be(two: tuple[LiveServer, Path]) -> None:
    """Twice 400 are let in; those go that have waited longest."""
    server, _ = two
    with held(server, 1200, b""):
        check_that_others_are_answered(server)


def test_answers_that_nobody_reads(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    body = json.dumps({**ITEM, "k": 60, "pictures": "inline"}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with held(server, 40, request * 3):
        check_that_others_are_answered(server)


def test_ten_thousand_that_come_and_go(two: tuple[LiveServer, Path]) -> None:
    server, _ = two

    def come_and_go() -> None:
        for _ in range(1250):
            connect(server).close()

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    with asking(server.url, ITEM) as askers:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert askers[0].broken == []
    assert set(askers[0].statuses) == {200}


def test_requests_in_a_row_are_answered_in_order(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    body = json.dumps(ITEM).encode()
    end = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with connect(server) as plain:
        plain.sendall(b"".join(HEAD + b"X-Request-Id: number-%d\r\n" % i + end for i in range(20)))
        # One reader for all: what it reads ahead is the next answer.
        with plain.makefile("rb") as answers:
            for i in range(20):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                headers = http.client.parse_headers(answers)
                assert headers["X-Request-Id"] == f"number-{i}"
                told = json.loads(answers.read(int(headers["Content-Length"])))
                assert len(told["hits"]) == 3
