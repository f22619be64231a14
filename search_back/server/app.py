"""``create_app``: wires the services into a Flask app."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Flask
from flask_cors import CORS

from search_back.guard import RateTable
from search_back.server.admission import ADMIN, Admission
from search_back.server.answers import EXPOSED_HEADERS, REQUEST_ID_HEADER
from search_back.server.compression import compress
from search_back.server.failures import add_error_handlers
from search_back.server.front import front_blueprint
from search_back.server.middleware import (
    TIMEOUT_HEADER,
    collapse_slashes,
    finisher,
    name_request,
    refuse_late,
    within_deadline,
)
from search_back.server.proxies import behind_proxies
from search_back.server.requests import watch_requests
from search_back.server.routes import (
    compat_blueprint,
    documents_blueprint,
    indices_blueprint,
    maps_blueprint,
    operations_blueprint,
    search_blueprint,
)
from search_back.services import Services

Reload = Callable[[], Mapping[str, str]]
# So long a browser need not ask again whether a page may call.
PREFLIGHT_S = 600
# What a page of another origin may send along, beyond what it always may.
ALLOWED_HEADERS = ["Authorization", "Content-Type", "X-API-Key", REQUEST_ID_HEADER, TIMEOUT_HEADER]


def create_app(
    services: Services, *, reload: Reload | None = None, rates: RateTable | None = None
) -> Flask:
    """The WSGI app of a server. Holds no state of its own beside ``services``.

    ``reload``: serves what the folders hold now, and returns what could not be reloaded, by index;
    by default ``services.reload``, which is enough for one process. ``rates``: counts requests,
    by default those of this process.
    """
    app = Flask("search_back", static_folder=None)
    settings = services.settings
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.limits.max_body_bytes
    app.url_map.strict_slashes = False
    # First, so that it sees a request before and its answer after all others.
    watch_requests(app, services.metrics, services.tracing, log=settings.access_log)
    CORS(
        app,
        origins=list(settings.cors_origins),
        resources=f"^(?!{ADMIN}).*",
        methods=["GET", "HEAD", "OPTIONS", "POST"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_S,
    )
    app.register_blueprint(compat_blueprint(services))
    app.register_blueprint(search_blueprint(services))
    app.register_blueprint(maps_blueprint(services))
    app.register_blueprint(indices_blueprint(services))
    app.register_blueprint(operations_blueprint(services, reload=reload or services.reload))
    app.register_blueprint(documents_blueprint())
    app.register_blueprint(front_blueprint(services))
    add_error_handlers(app, settings.limits, services.metrics.count_error)
    app.before_request(name_request)
    app.before_request(refuse_late)
    app.before_request(Admission(services, rates or RateTable(services.secret)))
    app.after_request(compress)
    app.after_request(finisher(keyed=services.keys is not None))
    in_time = within_deadline(app.wsgi_app, timeout_s=settings.request_timeout_s)
    traced = in_time if services.tracing is None else services.tracing.around(in_time)
    app.wsgi_app = behind_proxies(  # type: ignore[method-assign, assignment]
        collapse_slashes(traced),
        trusted=settings.trusted_proxies,
        count=settings.trusted_proxy_count,
    )
    return app
