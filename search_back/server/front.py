"""The page: static files bundled with the package, and the settings it starts from."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

import search_back
from search_back.errors import BadFolder
from search_back.server.jsonable import dumps
from search_back.services import Services


def front_folder() -> Path:
    """Where the page lies: inside the installed package, or beside it in a checkout."""
    package = Path(search_back.__file__).resolve().parent
    for folder in (package / "front", package.parent / "front"):
        if (folder / "index.html").is_file():
            return folder
    raise BadFolder("the page is missing", value=str(package / "front"), remedy="reinstall")


def front_blueprint(services: Services) -> Blueprint:
    """``/``, its files, and ``/config.json``."""
    folder = front_folder()
    front = Blueprint("front", __name__)

    @front.get("/config.json")
    def config() -> Response:
        settings = services.settings
        value = {
            "defaultBackend": settings.default_backend or "",
            "defaultIndex": settings.default_index or next(iter(services.indices)),
            "urlColumn": settings.url_column,
        }
        response = Response(dumps(value), mimetype="application/json")
        response.headers["Cache-Control"] = "no-cache"
        return response

    @front.get("/")
    @front.get("/<path:path>")
    def page(path: str = "index.html") -> Response:
        response = send_from_directory(folder, path, conditional=True)
        response.headers["Cache-Control"] = "no-cache"
        return response

    return front
