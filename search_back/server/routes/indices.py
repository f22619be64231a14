"""What an index is, and its pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from flask import Blueprint, Response, request, send_file

from search_back.config import Limits
from search_back.errors import BadPicture, InvalidField, UnknownId
from search_back.server.answers import json_response
from search_back.server.description import describe
from search_back.services import IMAGE_PATH, IndexService, Services

THUMBNAIL_SIDE = 256


def indices_blueprint(services: Services) -> Blueprint:
    """``/v1/indices``, ``/indices/NAME``, its thumbnails and pictures."""
    api = Blueprint("indices", __name__)
    limits = services.settings.limits

    @api.get("/v1/indices")
    def listing() -> Response:
        return json_response([describe(index) for index in services.indices.values()])

    @api.get("/v1/indices/<path:name>")
    @api.get("/indices/<path:name>")
    def description(name: str) -> Response:
        return json_response(describe(services.index(name)))

    @api.get("/indices/<path:name>/thumbnails/<int:id_>")
    def thumbnail(name: str, id_: int) -> Response:
        index = services.index(name)
        side = _side(request.args.get("size"), limits)
        with _there(id_):
            body, mimetype = index.pictures.thumbnail(image_path(index, id_), side)
        response = Response(body, mimetype=mimetype)
        response.set_etag(hashlib.sha256(body).hexdigest()[:32])
        response.make_conditional(request)
        return _shielded(response)

    @api.get("/indices/<path:name>/pictures/<int:id_>")
    def picture(name: str, id_: int) -> Response:
        index = services.index(name)
        with _there(id_):
            path, mimetype = index.pictures.original(image_path(index, id_))
            return _shielded(send_file(path, mimetype=mimetype, conditional=True))

    return api


def image_path(index: IndexService, id_: int) -> str:
    """Where the picture of an item is; raises ``UnknownId`` where there is none to show."""
    store = index.snapshot.metadata
    path = None
    if id_ < len(store) and index.picture_columns:
        path = store.take(np.array([id_], dtype=np.int64), [IMAGE_PATH])[0][0].as_py()
    if not path:
        raise UnknownId(f"index {index.name!r} has no picture of that id", value=id_)
    return str(path)


def _side(size: str | None, limits: Limits) -> int:
    maximum = limits.max_thumbnail_side
    if size is None:
        return min(THUMBNAIL_SIDE, maximum)
    if re.fullmatch("[0-9]{1,9}", size) and 1 <= int(size) <= maximum:
        return int(size)
    raise InvalidField("size", f"size should be 1 to {maximum} pixels", value=size)


@contextmanager
def _there(id_: int) -> Iterator[None]:
    """A picture that cannot be shown is, to who asks for its address, not there."""
    try:
        yield
    except BadPicture as error:
        raise UnknownId(error.what, value=id_, remedy=error.remedy) from error
    except OSError as error:
        raise UnknownId("the picture has just been removed", value=id_) from error


def _shielded(response: Response) -> Response:
    """What a stranger made, kept from doing anything but being looked at."""
    response.headers["Cache-Control"] = "private, max-age=3600"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
