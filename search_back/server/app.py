"""``create_app``: wires the services into a Flask app."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response
from flask_cors import CORS

from search_back.server.failures import add_error_handlers
from search_back.server.front import front_blueprint
from search_back.server.routes import (
    IGNORED_HEADER,
    LIMITS_HEADER,
    TRUNCATED_HEADER,
    api_blueprint,
)
from search_back.services import Services

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# The page loads nothing from elsewhere but the pictures that results point at, and talks to
# whatever backend its address names.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src * data: blob:; connect-src *; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; form-action 'self'"
)


def create_app(services: Services) -> Flask:
    """The WSGI app of a server. Holds no state of its own beside ``services``."""
    app = Flask("search_back", static_folder=None)
    limits = services.settings.limits
    app.config["MAX_CONTENT_LENGTH"] = limits.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = limits.max_body_bytes
    app.url_map.strict_slashes = False
    CORS(
        app,
        origins=list(services.settings.cors_origins),
        methods=["GET", "HEAD", "OPTIONS", "POST"],
        expose_headers=[IGNORED_HEADER, LIMITS_HEADER, TRUNCATED_HEADER, "Retry-After"],
    )
    app.register_blueprint(api_blueprint(services))
    app.register_blueprint(front_blueprint(services))
    add_error_handlers(app, limits, services.metrics.count_error)
    app.after_request(_protect)
    app.wsgi_app = collapse_slashes(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app


def _protect(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    return response


def collapse_slashes(app: WSGI) -> WSGI:
    """Answer ``//knn-service`` as ``/knn-service``: old pages join addresses that way.

    A redirect would not do, since a browser drops the body of a redirected cross-origin call.
    """

    def collapsed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = re.sub("/{2,}", "/", environ.get("PATH_INFO", "/"))
        return app(environ, start_response)

    return collapsed
