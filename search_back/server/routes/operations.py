"""For whoever runs the server: is it alive, is it ready, what does it do, take up new files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response

import search_back
from search_back.errors import ConfigError
from search_back.server.answers import json_response
from search_back.server.description import readiness
from search_back.services import Services


def operations_blueprint(
    services: Services, *, reload: Callable[[], Mapping[str, str]]
) -> Blueprint:
    """``/health``, ``/ready``, ``/metrics``, ``/metrics-summary`` and ``/admin/reload``."""
    api = Blueprint("operations", __name__)

    @api.get("/health")
    def health() -> Response:
        return json_response({"status": "alive", "version": search_back.__version__})

    @api.get("/ready")
    def ready() -> Response:
        indices = {name: readiness(index) for name, index in services.indices.items()}
        fine = services.warm and all(
            found["status"] in ("ready", "limited", "unopened") for found in indices.values()
        )
        body: dict[str, Any] = {"ready": fine, "warm": services.warm}
        # Names and problems, which hold paths, are not for everyone where keys are in use.
        if services.keys is None:
            body["indices"] = indices
        return json_response(body, status=200 if fine else 503)

    @api.get("/metrics")
    def metrics() -> Response:
        body, content_type = services.metrics.exposition()
        return Response(body, content_type=content_type)

    @api.get("/metrics-summary")
    def metrics_summary() -> Response:
        return Response(services.metrics.summary(), mimetype="text/plain")

    @api.post("/admin/reload")
    def reload_indices() -> Response:
        try:
            failed = reload()
        except ConfigError as error:  # told as the processes of one server tell each other
            failed = {"": str(error)}
        body = {
            "reloaded": [name for name in services.indices if not failed.keys() & {name, ""}],
            "failed": dict(failed),
        }
        return json_response(body, status=503 if failed else 200)

    return api
