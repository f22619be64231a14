"""Fetching: what is refused opens no socket, and nothing takes longer or more than allowed."""

from __future__ import annotations

import base64
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from search_back.config import Limits
from search_back.errors import FetchFailed, FetchRefused, InputError, LimitExceeded
from search_back.fetch import Fetcher, pinned, system_resolver
from search_back.fetch.addresses import refusal

BODY = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
OPEN = Limits(allow_private_addresses=True, fetch_timeout_s=5.0)

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1"]

HOSTILE = [
    # unspecified, "this network"
    "0.0.0.0", "0.0.0.1", "0.255.255.255", "::",
    # loopback
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1",
    # private
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "192.168.255.255", "fc00::1", "fd12:3456:789a::1", "fdff::1",
    # carrier's shared network and its ends
    "100.64.0.1", "100.127.255.254",
    # link-local, site-local
    "169.254.0.1", "169.254.255.255", "fe80::1", "febf::1", "fe80::1%eth0", "fec0::1",
    # clouds' metadata
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fd00:ec2::254",
    # multicast, reserved, broadcast
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1",
    # documentation, benchmarks, protocol assignments, discard
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.0.0.1",
    "192.88.99.1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1",
    # an IPv4 address in IPv6 clothes
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:20::1",
    # not an address at all
    "", "localhost", "127.1",
]  # fmt: skip

# What stays refused where private addresses are allowed.
NEVER = [
    "0.0.0.0", "169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fec0::1",
]  # fmt: skip


class Server(ThreadingHTTPServer):
    """Counts connections and keeps what was asked; ``answers``: path → what to do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Callable[[Handler], None]] = {}

    def get_request(self) -> tuple[socket.socket, Any]:
        answer = super().get_request()
        self.connections += 1
        return answer

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what these tests are about."""

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        self.server.answers.get(self.path.split("?")[0], whole)(self)

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def whole(handler: Handler) -> None:
    handler.reply(200, BODY, Content_Type="image/png")


def redirect(location: str, status: int = 302) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(status, b"moved", Location=location, Set_Cookie="a=b")


def raw(*parts: bytes, pause: float = 0.0) -> Callable[[Handler], None]:
    """Bytes as they are, then the end of the connection."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        for part in parts:
            handler.connection.sendall(part)
            if pause:
                threading.Event().wait(pause)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(OPEN)


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


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(address) is None
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize("address", HOSTILE)
def test_a_hostile_address_is_refused_and_no_socket_opened(
    server: Server, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned.Pin, "open", lambda _: pytest.fail("a socket was opened"))
    for answers in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        with pytest.raises(FetchRefused, match="the address leads to") as caught:
            Fetcher(Limits(), resolver=lambda *_, found=answers: found).fetch(
                server.url("/", "pictures.example")
            )
        assert caught.value.remedy
    assert server.connections == 0


@pytest.mark.parametrize("address", NEVER)
def test_an_intranet_does_not_lift_what_never_holds_pictures(address: str) -> None:
    assert refusal(address, allow_private=True) is not None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd12::1", "100.64.0.1"]
)
def test_an_intranet_may_be_allowed(address: str) -> None:
    assert refusal(address) is not None
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "LOCALHOST", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
        "017700000001", "127.1", "127.0.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "%31%32%37.0.0.1",
        "１２７.０.０.１", "ⓛocalhost", "127。0。0。1",
    ],
)  # fmt: skip
def test_every_spelling_of_this_machine_is_refused(server: Server, host: str) -> None:
    """With the system's resolver; a spelling that it does not know is as good as refused."""
    with pytest.raises((FetchRefused, FetchFailed)):
        Fetcher(Limits()).fetch(server.url("/", host))
    assert server.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1"])
def test_numeric_forms_are_checked_as_what_they_resolve_to(host: str) -> None:
    with pytest.raises(FetchRefused, match="loopback"):
        Fetcher(Limits()).fetch(f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "", "picture.png", "/etc/passwd", "//example.org/a.png", "file:///etc/passwd",
        "ftp://example.org/a.png", "gopher://127.0.0.1:70/_", "javascript:alert(1)",
        "dict://example.org/", "http:", "http://", "http:///a.png", "http://?", "http://:80/",
        "http://example.org:99999/", "http://example.org:x/", "http://[::1/", "http://[zz]/",
        "http://exa mple.org/", "http://example.org/\r\nX: y", "http://example.org/\x00",
        "http://\ud800.example/", "http://" + "a" * 64 + ".example/", "http://*.example/",
        "data:text/html;base64,YQ==", "data:image/svg+xml,<svg/>", "data:,a", "data:",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        "".join(host).encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(FetchRefused if "a" * 64 not in url and "*" not in url else FetchFailed):
        Fetcher(Limits(), resolver=resolve).fetch(url)


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(FetchRefused, match="user name or password") as caught:
        Fetcher(Limits()).fetch("https://ann:secret@example.org/a.png")
    assert "secret" not in str(caught.value)


def test_the_connection_goes_to_the_checked_address(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers differently the second time (DNS rebinding) is not asked twice."""
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("resolved again"))
    assert Fetcher(OPEN, resolver=resolve).fetch(server.url("/", "rebind.example")) == BODY
    assert asked == [("rebind.example", server.server_port)]
    assert server.requests[0][1]["Host"] == f"rebind.example:{server.server_port}"


def test_a_rebound_name_is_checked_again_at_a_redirect(server: Server) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.1", "169.254.169.254"]])
    server.answers["/"] = redirect("/again")
    with pytest.raises(FetchRefused, match="link-local"):
        Fetcher(OPEN, resolver=lambda *_: next(answers)).fetch(server.url("/", "rebind.example"))
    assert server.connections == 1


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for pictures.example alone, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -batch"
    names = ["-subj", "/CN=pictures.example", "-addext", "subjectAltName=DNS:pictures.example"]
    paths = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([openssl, *command.split(), *names, *paths], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def tls_server(server: Server, certificate: tuple[Path, Path]) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return server


def trusting(certificate: tuple[Path, Path], **changes: Any) -> Fetcher:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    return Fetcher(replace(OPEN, **changes), resolver=lambda *_: ["127.0.0.1"], tls=context)


def test_a_certificate_is_checked_by_name_though_the_address_is_pinned(
    tls_server: Server, certificate: tuple[Path, Path]
) -> None:
    port = tls_server.server_port
    fetcher = trusting(certificate)
    assert fetcher.fetch(f"https://pictures.example:{port}/") == BODY
    with pytest.raises(FetchFailed, match=r"(?s)certificate was not accepted.*other\.example"):
        fetcher.fetch(f"https://other.example:{port}/")
    with pytest.raises(FetchFailed, match="certificate was not accepted"):
        fetcher.fetch(f"https://127.0.0.1:{port}/")


def test_an_unknown_authority_is_not_trusted(tls_server: Server) -> None:
    fetcher = Fetcher(OPEN, resolver=lambda *_: ["127.0.0.1"])
    with pytest.raises(FetchFailed, match="certificate was not accepted: self"):
        fetcher.fetch(f"https://pictures.example:{tls_server.server_port}/")


def test_a_slow_drip_over_tls_ends_at_the_deadline(
    tls_server: Server, certificate: tuple[Path, Path]
) -> None:
    tls_server.answers["/"] = raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"1"] * 200, pause=0.02)
    with pytest.raises(FetchFailed, match="fetch_timeout_s"):
        trusting(certificate, fetch_timeout_s=0.25).fetch(
            f"https://pictures.example:{tls_server.server_port}/"
        )


def test_a_handshake_that_never_comes_ends_at_the_deadline(
    server: Server, certificate: tuple[Path, Path]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(FetchFailed, match="fetch_timeout_s"):
            trusting(certificate, fetch_timeout_s=0.1).fetch(f"https://pictures.example:{port}/")
