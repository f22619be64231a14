"""The server under the app: its queue has an end, and it ends what is under way before it stops."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from search_back.server.listening import ARRIVED, Bounds, HttpServer
from search_back.server.serve import bind


@dataclass
class Running:
    """A server in a thread of its own, whose app waits to be let go on."""

    server: HttpServer
    port: int
    entered: threading.Semaphore
    go_on: threading.Event
    stop: threading.Event = field(default_factory=threading.Event)
    ended: list[bool] = field(default_factory=list)

    def get(self, path: str = "/") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[tuple[Running, threading.Thread, socket.socket]] = []

    def make(**bounds: Any) -> Running:
        entered, go_on = threading.Semaphore(0), threading.Event()

        def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
            if environ["PATH_INFO"] == "/slow":
                entered.release()
                assert go_on.wait(30)
            start("200 OK", [("Content-Type", "text/plain")])
            return [f"{environ[ARRIVED] > 0}".encode()]

        listener = bind("127.0.0.1", 0)
        chosen = {"threads": 2, "max_waiting": 3, "max_body_bytes": 1000, **bounds}
        server = HttpServer(app, listener, Bounds(**chosen))
        running = Running(server, listener.getsockname()[1], entered, go_on)

        def loop() -> None:
            server.serve(running.stop.is_set)
            running.ended.append(server.drain(20))
            server.close()

        thread = threading.Thread(target=loop)
        thread.start()
        started.append((running, thread, listener))
        return running

    yield make
    for running, thread, listener in started:
        running.go_on.set()
        running.stop.set()
        running.server.pull_trigger()
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def test_the_app_is_told_when_a_request_arrived(run: Callable[..., Running]) -> None:
    status, _, body = run().get()
    assert (status, body) == (200, b"True")


def test_past_the_end_of_the_queue_others_are_refused_at_once(run: Callable[..., Running]) -> None:
    running = run(threads=2, max_waiting=3)
    with ThreadPoolExecutor(8) as pool:
        busy = [pool.submit(running.get, "/slow") for _ in range(2)]
        for _ in busy:
            assert running.entered.acquire(timeout=30)
        waiting = [pool.submit(running.get, "/slow") for _ in range(3)]
        while running.server.waiting < 3:
            threading.Event().wait(0.01)
        status, headers, body = running.get("/one-too-many")
        assert status == 503
        assert headers["Retry-After"] == "1"
        told = json.loads(body)
        assert told["code"] == "overloaded"
        assert "too many requests wait" in told["message"]
        # Who asks whether it lives is answered all the same.
        assert running.get("/health")[0] == 200
        running.go_on.set()
        assert [asked.result(30)[0] for asked in busy + waiting] == [200] * 5


def test_what_is_under_way_is_answered_before_it_stops(run: Callable[..., Running]) -> None:
    running = run()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(running.get, "/slow") for _ in range(4)]
        for _ in range(2):
            assert running.entered.acquire(timeout=30)
        while running.server.waiting < 2:
            threading.Event().wait(0.01)
        running.stop.set()
        running.server.pull_trigger()
        running.go_on.set()
        answers = [each.result(30) for each in asked]
    assert [status for status, _, _ in answers] == [200] * 4
    while not running.ended:
        threading.Event().wait(0.01)
    assert running.ended == [True]
    with pytest.raises(ConnectionRefusedError):
        running.get()


def test_a_head_that_never_ends_is_hung_up_on(run: Callable[..., Running]) -> None:
    running = run(header_s=0.2)
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert slow.recv(1) == b""
    assert running.get()[0] == 200


def test_a_body_that_never_comes_is_hung_up_on(run: Callable[..., Running]) -> None:
    running = run(body_s=0.2)
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc")
        assert slow.recv(1) == b""


def test_those_who_wait_longest_make_room(run: Callable[..., Running]) -> None:
    running = run(max_connections=20)
    idle = [socket.create_connection(("127.0.0.1", running.port), timeout=30) for _ in range(25)]
    try:
        assert running.get()[0] == 200
        assert running.server.connections <= 21
        assert idle[0].recv(1) == b""
    finally:
        for each in idle:
            each.close()
