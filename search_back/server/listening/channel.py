"""One connection: its requests in time, its refusals in JSON."""

from __future__ import annotations

import time
from typing import Any, Final

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from search_back.server.jsonable import dumps

ARRIVED: Final = "search_back.arrived"
"""In a request's environ: when it had arrived, in seconds of ``time.monotonic()``."""

ALIVE: Final = "/health"
"""Answered at once by the thread that reads, however many requests wait."""

LEAST_RATE: Final = 20_000.0
"""Bytes a second that a body should arrive at."""


class TooManyWait(Error):  # type: ignore[misc]
    """More requests wait than may."""

    code = 503
    reason = "Service Unavailable"


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers a request that the app will not see: broken, too large, or one too many."""

    def execute(self) -> None:
        error = self.request.error
        code = str(error.reason).lower().replace(" ", "_")
        message = f"{error.reason}: {error.body}".strip()
        if isinstance(error, TooManyWait):
            code, message = "overloaded", error.body
            self.response_headers.append(("Retry-After", "1"))
        self.channel.server.refused(code)
        body = dumps({"message": message, "code": code})
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "application/json"),
            ("X-Content-Type-Options", "nosniff"),
            ("Access-Control-Allow-Origin", "*"),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class TimedTask(WSGITask):  # type: ignore[misc]
    """Tells the app when a request arrived, and the client when the server is about to stop."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[ARRIVED] = self.request.arrived
        return environ

    def build_response_header(self) -> bytes:
        if self.channel.server.draining:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class JsonChannel(HTTPChannel):  # type: ignore[misc]
    """A connection of waitress with a bound on how long a request may take to arrive."""

    task_class = TimedTask
    error_task_class = JsonErrorTask

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.began: float | None = time.monotonic()  # of the request that is arriving
        self._here = False  # a request waits to be answered by the thread that reads
        super().__init__(*arguments, **options)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or its answer sent."""
        return bool(self.requests or self.total_outbufs_len)

    def received(self, data: bytes) -> bool:
        if self.began is None:
            self.began = time.monotonic()
        taken: bool = super().received(data)
        if self.request is None:
            self.began = None
        # Not inside, where a lock is held that answering takes.
        if self._here:
            self._here = False
            self.service()
        return taken

    def take(self, *, offer: Any) -> None:
        """Have the first request answered: in its turn, at once, or by a refusal."""
        request = self.requests[0]
        request.arrived = time.monotonic()
        if request.error is None and request.path == ALIVE:
            self._here = True
        elif not offer(self):
            request.error = TooManyWait("too many requests wait; try again in a moment")
            self._here = True

    def late(self, now: float, *, header_s: float, body_s: float) -> bool:
        """Whether a request has been arriving for longer than it may."""
        if self.busy or self.began is None:
            return False
        since = now - self.began
        request = self.request
        if request is None or not request.headers_finished:
            return since > header_s
        return bool(since > body_s + request.content_length / LEAST_RATE)
