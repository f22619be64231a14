"""The API, told: to programs and to people."""

from __future__ import annotations

from flask import Blueprint, Response, send_from_directory

from search_back.server.answers import json_response
from search_back.server.front import front_folder
from search_back.server.openapi import openapi


def documents_blueprint() -> Blueprint:
    """``/openapi.json`` and ``/docs``."""
    api = Blueprint("documents", __name__)
    folder = front_folder()

    @api.get("/openapi.json")
    def document() -> Response:
        response = json_response(openapi())
        response.headers["Cache-Control"] = "no-cache"
        return response

    # With a slash behind it, the page's own addresses would lead elsewhere.
    @api.get("/docs", strict_slashes=True)
    def docs() -> Response:
        response = send_from_directory(folder, "docs.html", conditional=True)
        response.headers["Cache-Control"] = "no-cache"
        return response

    return api
