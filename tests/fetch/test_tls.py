"""Certificates are checked by name, though addresses are pinned."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search_back.errors import FetchFailed
from search_back.fetch import Fetcher
from tests.fetch.web import BODY, OPEN, Server, raw


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
