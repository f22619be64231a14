"""``POST /v1/search``: everything the engine can do, as JSON or as an Arrow stream."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, request

from search_back.config import Limits
from search_back.errors import InvalidField
from search_back.server.answers import (
    IGNORED_HEADER,
    LIMITS_HEADER,
    TRUNCATED_HEADER,
    json_response,
)
from search_back.server.arrow import ARROW_STREAM, to_arrow
from search_back.server.results import facets_to_json, picture_fields
from search_back.server.schemas import SearchRequest, parse
from search_back.server.terms import TermReader, wishes
from search_back.services import IMAGE_PATH, IndexService, Services
from search_back.types import Page, Query

DEFAULT_K = 40


def search_blueprint(services: Services) -> Blueprint:
    """``/v1/search``."""
    api = Blueprint("search", __name__)
    limits = services.settings.limits
    terms = TermReader(services)

    @api.post("/v1/search")
    def search() -> Response:
        began = time.perf_counter()
        with services.metrics.timer("full_knn_request_time"):
            asked = parse(SearchRequest, request.get_data())
            index = services.index(asked.index)
            columns = columns_of(asked, index)
            page = index.search(to_query(asked, index, columns, terms, limits))
            if request.accept_mimetypes.best_match(("application/json", ARROW_STREAM)) == (
                ARROW_STREAM
            ):
                response = to_arrow(page, columns, facets_to_json(page.facets))
            else:
                answer = to_json(page, index, asked, columns, limits)
                answer["took_ms"] = round((time.perf_counter() - began) * 1e3, 3)
                response = json_response(answer)
        response.vary.add("Accept")
        if page.ignored:
            response.headers[IGNORED_HEADER] = ", ".join(page.ignored)
        if page.cut_texts:
            response.headers[TRUNCATED_HEADER] = str(page.cut_texts)
        if asked.pictures == "inline" and len(page) > limits.max_inline_pictures:
            response.headers[LIMITS_HEADER] = "max_inline_pictures"
        return response

    return api


def columns_of(asked: SearchRequest, index: IndexService) -> tuple[str, ...]:
    """The metadata columns of the answer.

    Raises ``InvalidField`` where these, or those to be counted, are not there.
    """
    there = index.snapshot.metadata.schema.names
    for field, names in (("columns", asked.columns or ()), ("facets", asked.facets)):
        for name in names:
            if name not in there:
                raise InvalidField(
                    field,
                    "there is no such metadata column",
                    value=name,
                    remedy=f"there are: {', '.join(there) or 'none'}",
                )
    if asked.columns is None:
        return tuple(name for name in index.options.columns_to_return if name in there)
    return tuple(dict.fromkeys(asked.columns))


def to_query(
    asked: SearchRequest,
    index: IndexService,
    columns: tuple[str, ...],
    terms: TermReader,
    limits: Limits,
) -> Query:
    """The engine's question for a client's; downloads the addresses among its terms."""
    k = min(DEFAULT_K, limits.max_results) if asked.k is None else asked.k
    if k > limits.max_results:
        raise InvalidField("k", f"max_results is {limits.max_results}", value=k)
    shows_pictures = asked.pictures != "none"
    return Query(
        terms=terms.of_search(asked),
        modality=asked.modality,
        k=k,
        columns=(*columns, *index.picture_columns) if shows_pictures else columns,
        deduplicate=asked.deduplicate,
        wishes=wishes(asked),
        aesthetic_score=asked.aesthetic_score,
        aesthetic_weight=asked.aesthetic_weight,
        filter=asked.filter,
        threshold=asked.threshold,
        deduplicate_by=asked.deduplicate_by,
        group_by=asked.group_by,
        per_group=asked.per_group,
        diversity=asked.diversity,
        facets=tuple(dict.fromkeys(asked.facets)),
        fill=True,
        cursor=asked.cursor,
    )


def to_json(
    page: Page,
    index: IndexService,
    asked: SearchRequest,
    columns: tuple[str, ...],
    limits: Limits,
) -> dict[str, Any]:
    """The answer, but for the time it took."""
    hits = []
    for position, hit in enumerate(page.hits()):
        row = hit.metadata or {}
        item: dict[str, Any] = {
            "id": hit.id,
            "similarity": hit.similarity,
            "metadata": {name: row[name] for name in columns if name in row},
        }
        inline = asked.pictures == "inline" and position < limits.max_inline_pictures
        if inline or asked.pictures == "link":
            item |= picture_fields(
                hit.id,
                row.get(IMAGE_PATH),
                index,
                pictures=asked.pictures,
                placeholders=asked.placeholders,
            )
        hits.append(item)
    return {
        "index": index.name,
        "hits": hits,
        "facets": facets_to_json(page.facets),
        "cursor": page.next,
        "offset": page.offset,
        "ignored": list(page.ignored),
    }
