"""Nothing takes longer than allowed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from search_back.errors import FetchFailed
from search_back.fetch import Fetcher
from tests.fetch.web import OPEN, Handler, Server, raw, redirect


@pytest.mark.parametrize(
    "drip",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"], id="body"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n"], id="body without a length"),
        pytest.param([b"HTTP/1.1 200 OK\r\nX-Long: "], id="header"),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], id="chunk size"),
    ],
)
def test_a_slow_drip_ends_at_the_deadline(server: Server, drip: list[bytes]) -> None:
    """Each byte comes well within any timeout of a single read."""
    server.answers["/"] = raw(*drip, *[b"1"] * 200, pause=0.02)
    started = time.monotonic()
    with pytest.raises(FetchFailed, match=r"fetch_timeout_s = 0\.25 s"):
        Fetcher(replace(OPEN, fetch_timeout_s=0.25)).fetch(server.url())
    assert 0.2 < time.monotonic() - started < 2


def test_silence_ends_at_the_deadline(server: Server) -> None:
    server.answers["/"] = raw(b"HTTP/1.1 200 OK\r\n", pause=1.0)
    with pytest.raises(FetchFailed, match="fetch_timeout_s"):
        Fetcher(replace(OPEN, fetch_timeout_s=0.1)).fetch(server.url())


def test_redirects_share_one_deadline(server: Server) -> None:
    def slow(handler: Handler) -> None:
        threading.Event().wait(0.1)
        redirect("/")(handler)

    server.answers["/"] = slow
    started = time.monotonic()
    with pytest.raises(FetchFailed, match="fetch_timeout_s"):
        Fetcher(replace(OPEN, fetch_timeout_s=0.25, max_redirects=50)).fetch(server.url())
    assert time.monotonic() - started < 2


def test_a_resolver_that_never_answers_is_not_waited_for() -> None:
    release = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        release.wait(5)
        return []

    with pytest.raises(FetchFailed, match="fetch_timeout_s"):
        Fetcher(replace(OPEN, fetch_timeout_s=0.05), resolver=resolve).fetch("http://a.example/")
    release.set()
