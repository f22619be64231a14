"""What clip-retrieval's clients call."""

from __future__ import annotations

from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from search_back.config import Limits
from search_back.errors import InvalidField, LimitExceeded
from search_back.server.answers import (
    IGNORED_HEADER,
    LIMITS_HEADER,
    TRUNCATED_HEADER,
    json_response,
)
from search_back.server.results import columns_to_read, page_to_json, rows_to_json
from search_back.server.schemas import KnnRequest, MetadataRequest, parse
from search_back.server.terms import TermReader, wishes
from search_back.services import IndexService, Services
from search_back.types import Query


def compat_blueprint(services: Services) -> Blueprint:
    """``/knn-service``, ``/metadata`` and ``/indices-list``."""
    api = Blueprint("compat", __name__)
    limits = services.settings.limits
    terms = TermReader(services)

    @api.post("/knn-service")
    def knn() -> Response:
        with services.metrics.timer("full_knn_request_time"):
            asked = parse(KnnRequest, request.get_data())
            index = services.index(asked.indice_name)
            query = to_query(asked, index, terms, limits)
            if query.k == 0:
                return json_response([])
            page = index.search(query)
            response = json_response(
                page_to_json(
                    page, index, pictures=asked.images, inline_limit=limits.max_inline_pictures
                )
            )
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
        return json_response(rows)

    @api.get("/knn-service")
    @api.get("/metadata")
    def post_only() -> Response:
        # Else the page's route would take these for files that are not there.
        raise MethodNotAllowed(["POST", "OPTIONS"], "send a JSON body with POST")

    @api.get("/indices-list")
    def indices_list() -> Response:
        return json_response(list(services.indices))

    return api


def to_query(asked: KnnRequest, index: IndexService, terms: TermReader, limits: Limits) -> Query:
    """The engine's question for a client's; downloads ``image_url``."""
    count = asked.num_images if asked.num_result_ids is None else asked.num_result_ids
    for field, value in (("num_result_ids", count), ("num_images", asked.num_images)):
        if value > limits.max_results:
            raise InvalidField(field, f"max_results is {limits.max_results}", value=value)
    return Query(
        terms=(terms.of_knn(asked),),
        modality=asked.modality,
        k=count,
        metadata_k=asked.num_images,
        columns=columns_to_read(index),
        deduplicate=asked.deduplicate,
        wishes=wishes(asked),
        aesthetic_score=asked.aesthetic_score,
        aesthetic_weight=asked.aesthetic_weight,
    )
