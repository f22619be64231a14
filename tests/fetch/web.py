"""A web server of this machine that answers as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from search_back.config import Limits

BODY = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
OPEN = Limits(allow_private_addresses=True, fetch_timeout_s=5.0)


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
