"""Errors as JSON: always a ``message``, a ``code``, and the fields they are about."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from search_back.config import Limits
from search_back.errors import (
    CorruptFile,
    DeadlineExceeded,
    EncoderMismatch,
    FetchFailed,
    Forbidden,
    IndexUnavailable,
    InputError,
    InvalidField,
    LimitExceeded,
    ModelUnavailable,
    Overloaded,
    RateLimited,
    SearchBackError,
    Unauthorized,
    UnknownId,
    UnknownIndex,
)
from search_back.server.answers import json_response
from search_back.server.schemas import InvalidBody

LOGGER = logging.getLogger(__name__)
_STATUS: tuple[tuple[type[SearchBackError], int], ...] = (
    (UnknownIndex, 404),
    (UnknownId, 404),
    (LimitExceeded, 413),
    (FetchFailed, 422),
    (InputError, 400),
    (EncoderMismatch, 409),
    (ModelUnavailable, 503),
    (IndexUnavailable, 503),
    (CorruptFile, 503),
    (DeadlineExceeded, 504),
    (Unauthorized, 401),
    (Forbidden, 403),
    (RateLimited, 429),
    (Overloaded, 503),
)


def status_of(error: SearchBackError) -> int:
    """The HTTP status of an error: 4xx where the caller can mend it."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def add_error_handlers(app: Flask, limits: Limits, count: Callable[[str], None]) -> None:
    """Answer every error of the app as JSON, and count it by its code."""

    def answer(status: int, message: str, code: str, errors: Any = None) -> Response:
        count(code)
        body: dict[str, Any] = {"message": message, "code": code}
        if errors:
            body["errors"] = errors
        return json_response(body, status=status)

    def known(error: SearchBackError) -> Response:
        status = status_of(error)
        response = answer(status, str(error), error.code, _fields(error))
        if isinstance(error, Unauthorized):
            response.headers["WWW-Authenticate"] = 'Bearer realm="search_back"'
        if isinstance(error, Overloaded | RateLimited):
            # Counted, not logged: there may be thousands, and writing them would add to the load.
            response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        elif status >= 500:
            LOGGER.warning("%s", error)
        return response

    def http(error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            return known(
                LimitExceeded(
                    "max_body_bytes",
                    value=request.content_length or "more",
                    maximum=limits.max_body_bytes,
                )
            )
        status = error.code or 500
        name = (error.name or "error").lower().replace(" ", "_")
        response = answer(status, error.description or str(error), name)
        for key, value in error.get_headers():
            if key.lower() in ("allow", "location", "retry-after"):
                response.headers[key] = value
        return response

    def unexpected(error: Exception) -> Response:
        LOGGER.exception("an unexpected error")
        return answer(
            500, "the server met an unexpected error; its log says which", "internal_error"
        )

    app.register_error_handler(SearchBackError, known)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, unexpected)


def _fields(error: SearchBackError) -> list[dict[str, str]] | None:
    if isinstance(error, InvalidBody):
        return error.errors
    if isinstance(error, InvalidField):
        return [{"field": error.field, "message": str(error)}]
    return None
