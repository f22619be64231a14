"""What is refused opens no socket, and what is checked is what is connected to."""

from __future__ import annotations

import socket

import pytest

from search_back.config import Limits
from search_back.errors import FetchFailed, FetchRefused
from search_back.fetch import Fetcher, pinned
from search_back.fetch.addresses import refusal
from tests.fetch.web import BODY, OPEN, Server, redirect

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
