"""Each request: counted and timed."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from search_back.metrics import Metrics
from search_back.server.listening import ARRIVED

NO_ROUTE = "none"
"""The route of a request that no pattern takes."""


def watch_requests(app: Flask, metrics: Metrics) -> None:
    """Count and time all that ``app`` answers, by the pattern of the path."""

    def began() -> None:
        now = time.monotonic()
        arrived = request.environ.get(ARRIVED)
        if arrived is not None:
            metrics.waited_for_thread(now - arrived)
        g.arrived = now if arrived is None else arrived

    def answered(response: Response) -> Response:
        seconds = time.monotonic() - g.arrived
        metrics.count_request(
            route(), method=request.method, status=response.status_code, seconds=seconds
        )
        return response

    app.before_request(began)
    app.after_request(answered)


def route() -> str:
    """The pattern of the path of the request, such as ``/indices/<path:name>``."""
    return NO_ROUTE if request.url_rule is None else request.url_rule.rule
