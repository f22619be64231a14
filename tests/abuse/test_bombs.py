"""Little that unpacks to much, and much that never ends: memory stays bounded."""

from __future__ import annotations

import base64
import gzip
import socket
import struct
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.abuse.conftest import PATIENCE_S, asking, processes
from tests.conftest import LiveServer
from tests.odd_pictures import chunk

ITEM = {"query": "#3", "index": "emoji", "k": 3, "pictures": "none"}
GROWTH_MB = 400


def png(width: int, height: int) -> bytes:
    """All black: a thousandth of its pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def gif(frames: int) -> bytes:
    frame = b"!\xf9\x04\0\1\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


BOMBS = {
    "100 megapixels": (lambda: png(10_000, 10_000), 413),
    "100,000 frames": (lambda: gif(100_000), 200),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><use href='#a'/></svg>", 400),
    "gzip": (lambda: gzip.compress(bytes(200 * 2**20)), 400),
    "text in a PNG": (
        lambda: b"".join(
            (
                png(8, 8)[:33],
                chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27))),
                png(8, 8)[33:],
            )
        ),
        400,
    ),
}  # fmt: skip


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def test_bombs(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    before = {pid: peak_mb(pid) for pid in processes(server)}
    with asking(server.url, ITEM) as askers:
        for name, (make, status) in BOMBS.items():
            image = base64.b64encode(make()).decode()
            body = {"query": [{"image": image}]}
            answer = requests.post(f"{server.url}/v1/search", json=body, timeout=PATIENCE_S)
            assert answer.status_code == status, (name, answer.text)
    assert askers[0].broken == []
    assert set(askers[0].statuses) == {200}
    assert processes(server) == list(before), "a process died"
    for pid, had in before.items():
        assert peak_mb(pid) - had < GROWTH_MB


@pytest.mark.parametrize("end", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
def test_a_body_of_a_gigabyte_is_cut_off(two: tuple[LiveServer, Path], end: str) -> None:
    server, _ = two
    before = {pid: peak_mb(pid) for pid in processes(server)}
    parts = urlsplit(server.url)
    block = b"x" * 2**20
    piece = b"%x\r\n%s\r\n" % (len(block), block) if "chunked" in end else block
    sent = 0
    with asking(server.url, ITEM) as askers:
        address = (str(parts.hostname), parts.port)
        with socket.create_connection(address, timeout=PATIENCE_S) as plain:
            plain.sendall(f"POST /v1/search HTTP/1.1\r\nHost: x\r\n{end}\r\n\r\n".encode())
            with pytest.raises(ConnectionError):
                for _ in range(1024):
                    plain.sendall(piece)
                    sent += 1
    assert sent < 300, "MiB were taken"
    assert set(askers[0].statuses) == {200}
    for pid, had in before.items():
        assert peak_mb(pid) - had < GROWTH_MB
