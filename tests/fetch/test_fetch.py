"""Fetching: what is refused opens no socket, and nothing takes longer or more than allowed."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
from dataclasses import replace
from typing import Any

import pytest

from search_back.config import Limits
from search_back.errors import FetchFailed, FetchRefused, InputError, LimitExceeded
from search_back.fetch import Fetcher, pinned, system_resolver
from tests.fetch.web import BODY, OPEN, Server, raw, redirect


def test_fetches_a_picture(server: Server, fetcher: Fetcher) -> None:
    assert fetcher.fetch(server.url("/a.png?x=1#part")) == BODY
    path, headers = server.requests[0]
    assert path == "/a.png?x=1"
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"
    assert "Cookie" not in headers
    assert "Authorization" not in headers


def test_white_space_around_and_letters_beyond_ascii_are_tolerated(
    server: Server, fetcher: Fetcher
) -> None:
    assert fetcher.fetch(f"  {server.url('/chat été 🐈.png')}\n") == BODY
    assert server.requests[0][0] == "/chat%20%C3%A9t%C3%A9%20%F0%9F%90%88.png"


def test_a_chunked_body_and_one_ended_by_closing(server: Server, fetcher: Fetcher) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    server.answers["/chunked"] = raw(
        head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    server.answers["/closed"] = raw(head + b"\r\nabcde")
    assert fetcher.fetch(server.url("/chunked")) == b"abcde"
    assert fetcher.fetch(server.url("/closed")) == b"abcde"


def test_the_next_address_is_tried_where_one_does_not_answer(server: Server) -> None:
    fetcher = Fetcher(OPEN, resolver=lambda *_: ["127.0.0.9", "127.0.0.1"])
    assert fetcher.fetch(server.url("/", "two.example")) == BODY


def test_environment_proxies_are_not_used(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetcher.fetch(server.url()) == BODY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_without_cookies(
    server: Server, fetcher: Fetcher, status: int
) -> None:
    server.answers["/old/a"] = redirect("../new/été".encode().decode("latin-1"), status)
    assert fetcher.fetch(server.url("/old/a")) == BODY
    path, headers = server.requests[1]
    assert path == "/new/%C3%A9t%C3%A9"
    assert "Cookie" not in headers


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://internal.example/secret", "a private network"),
        ("//internal.example/secret", "a private network"),
        ("file:///etc/passwd", "only http and https"),
        ("data:image/png;base64,AAAA", "only http and https"),
        ("http://u:p@example.org/", "user name or password"),
        ("http://example.org:x/", "not a valid URL"),
    ],
)
def test_a_redirect_is_checked_like_an_address(
    server: Server, monkeypatch: pytest.MonkeyPatch, location: str, message: str
) -> None:
    """``example`` is public here, and its connection leads to the test's server."""
    dialled: list[str] = []

    def dial(pin: pinned.Pin) -> socket.socket:
        dialled.extend(pin.addresses)
        return socket.create_connection(server.server_address[:2])

    monkeypatch.setattr(pinned.Pin, "open", dial)
    names = {"internal.example": ["10.0.0.7"]}
    server.answers["/"] = redirect(location)
    with pytest.raises(FetchRefused, match=message):
        Fetcher(Limits(), resolver=lambda host, _: names.get(host, ["8.8.8.8"])).fetch(
            server.url("/", "example.org")
        )
    assert dialled == ["8.8.8.8"]


def test_a_redirect_to_no_url_fails(server: Server, fetcher: Fetcher) -> None:
    server.answers["/"] = redirect("http://[broken/")
    with pytest.raises(InputError, match="URL"):
        fetcher.fetch(server.url())


def test_a_loop_of_redirects_ends(server: Server) -> None:
    server.answers["/"] = redirect("/")
    with pytest.raises(LimitExceeded, match="max_redirects is 3"):
        Fetcher(replace(OPEN, max_redirects=3)).fetch(server.url())
    assert server.connections == 4


def test_without_redirects_the_first_answer_counts(server: Server) -> None:
    server.answers["/r"] = redirect("/")
    fetcher = Fetcher(replace(OPEN, max_redirects=0))
    assert fetcher.fetch(server.url()) == BODY
    with pytest.raises(LimitExceeded, match="max_redirects"):
        fetcher.fetch(server.url("/r"))


@pytest.mark.parametrize("status", [204, 304, 400, 401, 403, 404, 410, 500, 503])
def test_a_status_is_told(server: Server, fetcher: Fetcher, status: int) -> None:
    server.answers["/"] = lambda handler: handler.reply(status)
    with pytest.raises(FetchFailed, match=f"HTTP {status}") as caught:
        fetcher.fetch(server.url())
    assert caught.value.value == server.url()


def test_a_long_url_names_its_limit() -> None:
    with pytest.raises(LimitExceeded, match="max_url_bytes is 4096"):
        Fetcher(Limits()).fetch("http://example.org/" + "é" * 2048)


def test_a_declared_size_is_enough_to_refuse(server: Server) -> None:
    server.answers["/"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
    with pytest.raises(LimitExceeded, match="max_picture_bytes is 100") as caught:
        Fetcher(replace(OPEN, max_picture_bytes=100)).fetch(server.url())
    assert caught.value.value == 999999999


def test_an_undeclared_size_is_counted(server: Server) -> None:
    server.answers["/"] = raw(b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(65536)] * 20)
    with pytest.raises(LimitExceeded, match="max_picture_bytes"):
        Fetcher(replace(OPEN, max_picture_bytes=100_000)).fetch(server.url())


def test_a_body_of_just_the_limit_is_taken(server: Server) -> None:
    assert Fetcher(replace(OPEN, max_picture_bytes=len(BODY))).fetch(server.url()) == BODY
    with pytest.raises(LimitExceeded):
        Fetcher(replace(OPEN, max_picture_bytes=len(BODY) - 1)).fetch(server.url())


def test_gzip_is_undone_though_nobody_asked(server: Server, fetcher: Fetcher) -> None:
    packed = gzip.compress(BODY)
    server.answers["/"] = lambda h: h.reply(200, packed, Content_Encoding="gzip")
    assert fetcher.fetch(server.url()) == BODY
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_gzip_bomb_stops_at_the_limit(server: Server) -> None:
    bomb = gzip.compress(bytes(30_000_000))
    server.answers["/"] = lambda h: h.reply(200, bomb, Content_Encoding="gzip")
    with pytest.raises(LimitExceeded, match="max_picture_bytes") as caught:
        Fetcher(replace(OPEN, max_picture_bytes=100_000)).fetch(server.url())
    assert isinstance(caught.value.value, int)
    assert caught.value.value <= 100_000 + 65536


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(BODY)[:-9], "gzip"), (b"not gzip", "gzip"), (b"abc", "br"), (b"", "gzip")],
)
def test_a_broken_or_unknown_encoding_fails(
    server: Server, fetcher: Fetcher, body: bytes, encoding: str
) -> None:
    server.answers["/"] = lambda h: h.reply(200, body, Content_Encoding=encoding)
    with pytest.raises(FetchFailed, match=r"compressed answer|encoding nobody asked for"):
        fetcher.fetch(server.url())


def unknown(host: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("resolver", [unknown, lambda *_: []])
def test_a_name_without_address_fails(resolver: Any) -> None:
    with pytest.raises(FetchFailed, match=r"nowhere\.example"):
        Fetcher(Limits(), resolver=resolver).fetch("http://nowhere.example/a.png")


def test_nobody_listening_fails(fetcher: Fetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FetchFailed, match="Connection refused"):
        fetcher.fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"SSH-2.0-secret\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)  # fmt: skip
def test_what_is_not_http_fails_and_is_not_repeated(
    server: Server, fetcher: Fetcher, answer: bytes
) -> None:
    server.answers["/"] = raw(answer)
    with pytest.raises(FetchFailed) as caught:
        fetcher.fetch(server.url())
    assert "secret" not in str(caught.value)


def test_a_data_address_is_decoded() -> None:
    fetcher = Fetcher(Limits(max_picture_bytes=len(BODY), max_url_bytes=10))
    text = base64.b64encode(BODY).decode()
    assert fetcher.fetch(f"data:image/png;base64,{text}") == BODY
    assert fetcher.fetch(f"DATA:image/png;base64,{text.replace('+', '%2B')}") == BODY
    with pytest.raises(LimitExceeded, match="max_picture_bytes"):
        fetcher.fetch(f"data:image/png;base64,{base64.b64encode(BODY + b'a').decode()}")
    with pytest.raises(FetchFailed, match="base64"):
        fetcher.fetch("data:image/png;base64,!!")


def test_the_system_resolver_gives_numeric_addresses_once() -> None:
    assert system_resolver("127.0.0.1", 80) == ["127.0.0.1"]


def test_threads_share_a_fetcher(server: Server, fetcher: Fetcher) -> None:
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda i=i: results.append(fetcher.fetch(server.url(f"/{i}"))))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [BODY] * 8
