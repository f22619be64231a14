"""A web server on loopback that answers as told, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from tests.serving import running


@dataclass
class Cut:
    """Send so many bytes of the body, then drop the connection."""

    after: int


@dataclass
class Web:
    """`files`: by path; `faults`: what the next GETs of a path meet: a status, a cut, nothing."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, deque[int | Cut | None]] = field(default_factory=lambda: defaultdict(deque))
    moved: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    lengths: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def fail(self, path: str, *faults: int | Cut | None) -> None:
        self.faults[path].extend(faults)

    def gets(self, path: str) -> list[str]:
        """The range of each GET of a path; empty where it asked for all."""
        return [range_ for method, asked, range_ in self.asked if (method, asked) == ("GET", path)]


@contextmanager
def serving() -> Iterator[Web]:
    """A server until the block ends; then no thread of it is left."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            asked = self.headers.get("Range", "")
            web.asked.append((self.command, path, asked))
            fault = web.faults[path].popleft() if body and web.faults[path] else None
            if isinstance(fault, int):
                return self._plain(fault)
            if path in web.moved:
                return self._plain(301, Location=web.moved[path])
            if path not in web.files:
                return self._plain(404)
            return self._send(web.files[path], asked if web.ranges else "", fault, body=body)

        def _plain(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, data: bytes, asked: str, fault: Cut | None, *, body: bool) -> None:
            part = data
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
            if match:
                first, last = int(match[1]), min(int(match[2]), len(data) - 1)
                part = data[first : last + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()[:16]}"')
            if web.lengths:
                self.send_header("Content-Length", str(len(part)))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if not body:
                return
            if fault:
                self.wfile.write(part[: fault.after])
                self.close_connection = True
            elif web.lengths:
                self.wfile.write(part)
            else:
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part))

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    with running(server):
        yield web
