"""Responses, and the headers that say what was not done."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from search_back.server.jsonable import dumps

IGNORED_HEADER: Final = "X-Ignored-Options"
LIMITS_HEADER: Final = "X-Limits-Hit"
TRUNCATED_HEADER: Final = "X-Truncated-Texts"
REQUEST_ID_HEADER: Final = "X-Request-Id"
EXPOSED_HEADERS: Final = [
    IGNORED_HEADER,
    LIMITS_HEADER,
    TRUNCATED_HEADER,
    REQUEST_ID_HEADER,
    "Retry-After",
]


def json_response(value: Any, *, status: int = 200) -> Response:
    return Response(dumps(value), status=status, mimetype="application/json")
