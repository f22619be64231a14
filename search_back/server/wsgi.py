"""The WSGI server, made to say its own errors in JSON and to stop in time.

What waitress refuses before the app sees it (a broken request line, headers or a body past all
bounds) clients read like any other error: they look for ``message``.
"""

from __future__ import annotations

import socket
from typing import Any

from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from search_back.server.jsonable import dumps


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers a request that could not be read."""

    def execute(self) -> None:
        error = self.request.error
        message = f"{error.reason}: {error.body}".strip()
        code = str(error.reason).lower().replace(" ", "_")
        body = dumps({"message": message, "code": code}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "application/json"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class JsonChannel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    error_task_class = JsonErrorTask


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """A pool of threads that waits for those at work no longer than ``grace_s`` when it ends."""

    def __init__(self, grace_s: float) -> None:
        super().__init__()
        self._grace_s = grace_s

    def shutdown(self, cancel_pending: bool = True, timeout: float | None = None) -> bool:
        return bool(super().shutdown(cancel_pending, self._grace_s))


def make_server(
    app: Any,
    listener: socket.socket,
    *,
    threads: int,
    connections: int,
    max_body_bytes: int,
    grace_s: float,
) -> Any:
    """A server on a bound socket: ``run()`` until SystemExit or KeyboardInterrupt, ``close()``.

    A body a little over ``max_body_bytes`` is read to its end, so that its sender can read why
    the app refuses it; one of twice as much is cut off.
    """
    dispatcher = Dispatcher(grace_s)
    dispatcher.set_thread_count(threads)
    server: Any = create_server(
        app,
        sockets=[listener],
        threads=threads,
        ident=None,
        connection_limit=connections,
        clear_untrusted_proxy_headers=True,
        max_request_body_size=2 * max_body_bytes + 2**20,
        _dispatcher=dispatcher,
    )
    server.channel_class = JsonChannel
    return server
