"""Each request: counted, timed, logged where that is wanted, and named in the log."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, has_request_context, request

from search_back.metrics import Metrics, known_method
from search_back.server.listening import ARRIVED
from search_back.tracing import Tracing

ACCESS = logging.getLogger("search_back.access")
NO_ROUTE = "none"
"""The route of a request that no pattern takes."""


def watch_requests(app: Flask, metrics: Metrics, tracing: Tracing | None, *, log: bool) -> None:
    """Count and time all that ``app`` answers, by the pattern of the path; ``log``: and log it.

    To be called before the app gets other hooks: then it sees a request before and its answer
    after all of them.
    """

    def began() -> None:
        now = time.monotonic()
        arrived = request.environ.get(ARRIVED)
        if arrived is not None:
            metrics.waited_for_thread(now - arrived)
        g.arrived = now if arrived is None else arrived

    def answered(response: Response) -> Response:
        seconds = time.monotonic() - g.arrived
        status = response.status_code
        metrics.count_request(route(), method=request.method, status=status, seconds=seconds)
        if tracing is not None:
            tracing.answered(
                route(),
                method=known_method(request.method),
                status=status,
                request_id=g.get("request_id", ""),
            )
        if log:
            _log(response, seconds)
        return response

    app.before_request(began)
    app.after_request(answered)


def route() -> str:
    """The pattern of the path of the request, such as ``/indices/<path:name>``."""
    return NO_ROUTE if request.url_rule is None else request.url_rule.rule


def _log(response: Response, seconds: float) -> None:
    size = response.content_length
    fields = {
        "method": known_method(request.method),
        "route": route(),
        "status": response.status_code,
        "milliseconds": round(seconds * 1e3, 3),
        "bytes": response.calculate_content_length() if size is None else size,
        "address": request.remote_addr,
    }
    ACCESS.info(
        "%(method)s %(route)s %(status)d, %(milliseconds).1f ms, %(bytes)s bytes, to %(address)s",
        fields,
        extra={"fields": fields},
    )


class NamedRequests(logging.Filter):
    """Gives what is logged while a request is answered the name of the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if has_request_context() and "request_id" in g:
            record.request_id = g.request_id
        return True


def name_requests_in_log() -> None:
    """From now on, whatever goes through the handlers of the root logger."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(there, NamedRequests) for there in handler.filters):
            handler.addFilter(NamedRequests())
