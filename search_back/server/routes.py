"""The JSON routes and the pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from search_back.access import decode_base64_picture
from search_back.config import Limits
from search_back.errors import BadPicture, InvalidField, LimitExceeded, UnknownId
from search_back.server.jsonable import dumps
from search_back.server.results import columns_to_read, page_to_json, rows_to_json
from search_back.server.schemas import KnnRequest, MetadataRequest, parse
from search_back.services import IMAGE_PATH, IndexService, Services
from search_back.types import (
    EmbeddingTerm,
    FloatArray,
    ImageTerm,
    ItemTerm,
    Query,
    Term,
    TextTerm,
)

IGNORED_HEADER = "X-Ignored-Options"
LIMITS_HEADER = "X-Limits-Hit"
TRUNCATED_HEADER = "X-Truncated-Texts"
THUMBNAIL_SIDE = 256


def api_blueprint(services: Services) -> Blueprint:
    """Every route but the page."""
    api = Blueprint("api", __name__)
    limits = services.settings.limits

    @api.post("/knn-service")
    def knn() -> Response:
        with services.metrics.timer("full_knn_request_time"):
            asked = parse(KnnRequest, request.get_data())
            index = services.index(asked.indice_name)
            query = to_query(asked, index, services)
            if query.k == 0:
                return _json([])
            page = index.search(query)
            items = page_to_json(
                page, index, pictures=asked.images, inline_limit=limits.max_inline_pictures
            )
            response = _json(items)
        if page.ignored:
            response.headers[IGNORED_HEADER] = ", ".join(page.ignored)
        if page.cut_texts:
            response.headers[TRUNCATED_HEADER] = str(page.cut_texts)
        if asked.images == "inline" and page.metadata.num_rows > limits.max_inline_pictures:
            response.headers[LIMITS_HEADER] = "max_inline_pictures"
        return response

    @api.post("/metadata")
    def metadata() -> Response:
        asked = parse(MetadataRequest, request.get_data())
        index = services.index(asked.indice_name)
        if len(asked.ids) > limits.max_metadata_ids:
            raise LimitExceeded(
                "max_metadata_ids", value=len(asked.ids), maximum=limits.max_metadata_ids
            )
        with services.metrics.timer("metadata_get_time"):
            rows = rows_to_json(
                asked.ids, index, pictures=asked.images, inline_limit=limits.max_inline_pictures
            )
        return _json(rows)

    @api.get("/knn-service")
    @api.get("/metadata")
    def post_only() -> Response:
        # Else the page's route would take these for files that are not there.
        raise MethodNotAllowed(["POST", "OPTIONS"], "send a JSON body with POST")

    @api.get("/indices-list")
    def indices_list() -> Response:
        return _json(list(services.indices))

    @api.get("/metrics")
    def metrics() -> Response:
        body, content_type = services.metrics.exposition()
        return Response(body, content_type=content_type)

    @api.get("/metrics-summary")
    def metrics_summary() -> Response:
        return Response(services.metrics.summary(), mimetype="text/plain")

    @api.get("/indices/<path:name>/thumbnails/<int:id_>")
    def thumbnail(name: str, id_: int) -> Response:
        index = services.index(name)
        side = _side(request.args.get("size"), limits)
        with _there(id_):
            return _picture(*index.pictures.thumbnail(image_path(index, id_), side))

    @api.get("/indices/<path:name>/pictures/<int:id_>")
    def picture(name: str, id_: int) -> Response:
        index = services.index(name)
        with _there(id_):
            path, mimetype = index.pictures.original(image_path(index, id_))
            return _picture(path.read_bytes(), mimetype)

    return api


def to_query(asked: KnnRequest, index: IndexService, services: Services) -> Query:
    """The engine's question for a client's; downloads ``image_url``."""
    limits = services.settings.limits
    count = asked.num_images if asked.num_result_ids is None else asked.num_result_ids
    for field, value in (("num_result_ids", count), ("num_images", asked.num_images)):
        if value > limits.max_results:
            raise InvalidField(field, f"max_results is {limits.max_results}", value=value)
    return Query(
        terms=(_term(asked, services, limits),),
        modality=asked.modality,
        k=count,
        metadata_k=asked.num_images,
        columns=columns_to_read(index),
        deduplicate=asked.deduplicate,
        wishes=_wishes(asked),
        aesthetic_score=asked.aesthetic_score,
        aesthetic_weight=asked.aesthetic_weight,
    )


def _term(asked: KnnRequest, services: Services, limits: Limits) -> Term:
    """The first input that is filled, in the order clients rely on."""
    if asked.text is not None:
        if len(asked.text) > limits.max_text_characters:
            raise InvalidField(
                "text",
                f"max_text_characters is {limits.max_text_characters}",
                value=f"{len(asked.text)} characters",
            )
        return TextTerm(asked.text)
    if asked.image is not None:
        return ImageTerm(decode_base64_picture(asked.image, limits))
    if asked.image_url is not None:
        with services.metrics.timer("download_time"):
            return ImageTerm(services.fetcher.fetch(asked.image_url))
    if asked.embedding_input is not None:
        return EmbeddingTerm(to_embedding(asked.embedding_input))
    if asked.id is not None:
        return ItemTerm(asked.id)
    raise InvalidField(
        "text", "the query is empty", remedy="give text, image, image_url, embedding_input or id"
    )


def to_embedding(values: Sequence[float]) -> FloatArray:
    """A client's numbers as float32 whose largest is 1.

    Clients do not normalise, and squares of 1e30 or 1e-30 are beyond what float32 holds.
    """
    vector = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(vector).max(initial=0.0))
    return (vector / largest if largest else vector).astype(np.float32)


def _wishes(asked: KnnRequest) -> tuple[str, ...]:
    wishes = {
        "use_mclip": asked.use_mclip,
        "use_safety_model": asked.use_safety_model,
        "use_violence_detector": asked.use_violence_detector,
    }
    return tuple(name for name, wished in wishes.items() if wished)


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


def _json(value: object) -> Response:
    return Response(dumps(value), mimetype="application/json")


def _picture(body: bytes, mimetype: str) -> Response:
    response = Response(body, mimetype=mimetype)
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, max-age=3600"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(request)
    return response
