"""From the operations and the models to one document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import search_back
from search_back.server.openapi.operations import OPERATIONS
from search_back.server.openapi.parts import (
    HEADERS,
    JSON,
    Answered,
    Operation,
    Parameter,
    header,
    ref,
)
from search_back.server.schemas import (
    KnnRequest,
    MapRequest,
    MetadataRequest,
    SearchRequest,
    answers,
)

TAGS: Final = {
    "search": "What new clients call.",
    "clip-retrieval": "What clients of clip-retrieval call, in their names.",
    "indices": "What the indices hold, and their pictures.",
    "operation": "For whoever runs the server.",
    "page": "What browsers open.",
}
# Read by every route, so that none repeats them.
_PARAMETERS: Final = {
    "RequestId": Parameter(
        "X-Request-Id",
        "header",
        "A name for the request, which its answer repeats.",
        {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
    ),
    "RequestTimeout": Parameter(
        "X-Request-Timeout",
        "header",
        "Seconds after which the answer is not wanted any more.",
        {"type": "number", "exclusiveMinimum": 0},
    ),
}
_ERRORS: Final = {
    400: "A field, a filter or a picture is wrong; or what came is no HTTP.",
    401: "The server wants a key, and this is none of those it knows.",
    403: "The key may not do that.",
    404: "There is no such index, id or picture.",
    409: "The vectors of the index are not of the encoder that would read the query.",
    413: "A limit of the server was hit; the message names it.",
    416: "The picture has no such part.",
    422: "An address gave no picture.",
    431: "The head of the request is too large.",
    501: "The body came in a transfer encoding nobody knows.",
    503: "An index or encoder is not to be had now, or too much was asked at once.",
    504: "The time of the request was over before its answer was there.",
}
_ALWAYS: Final = (400, 401, 403, 413, 431, 501, 503, 504)
_EXAMPLE: Final = {
    "message": "k: Input should be greater than or equal to 1 (got: 0)",
    "code": "invalid_field",
    "errors": [{"field": "k", "message": "Input should be greater than or equal to 1 (got: 0)"}],
}


@cache
def openapi() -> dict[str, Any]:
    """The document. Callers share it and leave it as it is."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "search_back",
            "version": search_back.__version__,
            "summary": "Semantic search of your own pictures.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        # Keys are asked for only where the server has been given some.
        "security": [{}, {"bearer": []}, {"key": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {f"E{status}": _error(status).to_json() for status in _ERRORS},
            "parameters": {name: p.to_json() for name, p in _PARAMETERS.items()},
            "headers": {
                **HEADERS,
                "X-Request-Id": {
                    "description": "The name of the request.",
                    "schema": {"type": "string"},
                },
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            *(parameter.to_json() for parameter in operation.parameters),
            *({"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS),
        ],
        "responses": dict(_responses(operation)),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.body is not None:
        told["requestBody"] = {
            "required": True,
            "description": "Read as JSON, whatever its content type says.",
            "content": {
                JSON: {
                    "schema": ref(operation.body),
                    "examples": {
                        name.replace(" ", "-"): {"summary": name, "value": value}
                        for name, value in operation.examples.items()
                    },
                }
            },
        }
    return told


def _responses(operation: Operation) -> Iterator[tuple[str, Any]]:
    for status in sorted({*operation.answers, *operation.errors, *_ALWAYS}):
        own = operation.answers.get(status)
        if own is None:
            yield str(status), {"$ref": f"#/components/responses/E{status}"}
            continue
        told = own.to_json()
        told.setdefault("headers", {})["X-Request-Id"] = header("X-Request-Id")
        if status in _ALWAYS:  # the route's own words, or those of every route
            schema = told["content"][JSON]["schema"]
            told["content"][JSON]["schema"] = {"anyOf": [schema, ref(answers.Error)]}
        yield str(status), told


def _error(status: int) -> Answered:
    headers = ("Retry-After",) if status == 503 else ()
    example = _EXAMPLE if status == 400 else None
    return Answered(_ERRORS[status], answers.Error, headers=headers, example=example)


def _schemas() -> dict[str, Any]:
    requests: list[type[BaseModel]] = [SearchRequest, MapRequest, KnnRequest, MetadataRequest]
    models = [*requests, *_answer_models()]
    # As they are read, not written: there a field with a default would be one that always comes.
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    defined: dict[str, Any] = schemas["$defs"]
    return defined


def _answer_models() -> list[type[answers.Answer]]:
    found = [value for value in vars(answers).values() if isinstance(value, type)]
    return [m for m in found if issubclass(m, answers.Answer) and m is not answers.Answer]
