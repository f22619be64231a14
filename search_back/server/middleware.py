"""What happens to every request and every answer."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Response, g, request

from search_back import deadlines
from search_back.server.answers import REQUEST_ID_HEADER
from search_back.server.arrow import ARROW_STREAM
from search_back.server.listening import ARRIVED

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# The page loads nothing from elsewhere but the pictures that results point at, and talks to
# whatever backend its address names.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' http: https: data: blob:",
        "connect-src 'self' http: https:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), "
    "midi=(), payment=(), serial=(), usb=()",
    "X-Frame-Options": "DENY",
}
TIMEOUT_HEADER: Final = "X-Request-Timeout"
_TIMEOUT: Final = f"HTTP_{TIMEOUT_HEADER.upper().replace('-', '_')}"
_ANSWERS: Final = frozenset({"application/json", ARROW_STREAM, "text/plain"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def name_request() -> None:
    """Give a request the name its sender gave it, or a new one, which every answer repeats."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def refuse_late() -> None:
    """Give up a request that has waited for a thread until its time was over.

    Raises ``DeadlineExceeded``: whoever sent it has gone, and others wait.
    """
    deadlines.check("it was begun")


def finisher(*, keyed: bool) -> Callable[[Response], Response]:
    """Puts on every answer what a browser is to make of it.

    ``keyed``: whether answers are for those who have a key, and must not outlive them in a cache.
    """
    caching = "no-store" if keyed else "no-cache"

    def finish(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "no-referrer")
        if response.mimetype in _ANSWERS:
            headers.setdefault("Cache-Control", caching)
        if response.mimetype == "text/html":
            for name, value in PAGE_HEADERS.items():
                headers.setdefault(name, value)
        if "request_id" in g:
            headers[REQUEST_ID_HEADER] = g.request_id
        return response

    return finish


def within_deadline(app: WSGI, *, timeout_s: float) -> WSGI:
    """Let a request know when it is given up: so long after it arrived, or sooner if it says so.

    A client says so in seconds, as ``X-Request-Timeout``.
    """

    def timed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        arrived = environ.get(ARRIVED) or time.monotonic()
        with deadlines.deadline(arrived + _timeout(environ.get(_TIMEOUT), timeout_s)):
            return app(environ, start_response)

    return timed


def _timeout(asked: str | None, most: float) -> float:
    try:
        seconds = float(asked) if asked else most
    except ValueError:
        return most
    return seconds if 0 < seconds < most else most


def collapse_slashes(app: WSGI) -> WSGI:
    """Answer ``//knn-service`` as ``/knn-service``: old pages join addresses that way.

    A redirect would not do, since a browser drops the body of a redirected cross-origin call.
    """

    def collapsed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = re.sub("/{2,}", "/", environ.get("PATH_INFO", "/"))
        return app(environ, start_response)

    return collapsed
