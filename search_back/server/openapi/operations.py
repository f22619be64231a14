"""Every route: what it is for, what it takes, what it answers."""

from __future__ import annotations

from typing import Any, Final

from search_back.server.answers import IGNORED_HEADER, LIMITS_HEADER, TRUNCATED_HEADER
from search_back.server.arrow import ARROW_STREAM
from search_back.server.openapi.parts import Answered, Operation, Parameter, ref
from search_back.server.schemas import KnnRequest, MapRequest, MetadataRequest, SearchRequest
from search_back.server.schemas.answers import (
    Alive,
    KnnHit,
    MapAnswer,
    MetadataRow,
    PageSettings,
    Readiness,
    Reloaded,
    SearchAnswer,
    ServedIndex,
    UnservedIndex,
)

_PICTURES: Final = ("image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp")
_NAME: Final = Parameter("name", "path", "The name of an index.", {"type": "string"}, "index")
_ID: Final = Parameter(
    "id", "path", "The id of an item.", {"type": "integer", "minimum": 0}, example=7
)
_SIZE: Final = Parameter(
    "size",
    "query",
    "Width and height that the thumbnail fits into, in pixels.",
    {"type": "integer", "minimum": 1, "maximum": 1024, "default": 256},
)
_SEARCH_ERRORS: Final = (404, 409, 422)
_FOUND: Final = (IGNORED_HEADER, LIMITS_HEADER, TRUNCATED_HEADER)
_KEPT: Final = ("ETag", "Cache-Control")
_UNCHANGED: Final = Answered("What `If-None-Match` names is still what there is.")
_MISMATCH: Final = Answered("What `If-Match` names is not what there is.")
_ANY_INDEX: Final[dict[str, Any]] = {"oneOf": [ref(ServedIndex), ref(UnservedIndex)]}
_VECTOR_SEARCH: Final = {"embedding_input": [0.12, -0.05, 0.33], "num_images": 5}

OPERATIONS: Final = (
    Operation(
        "post",
        "/v1/search",
        "search",
        "search",
        "Search",
        description="Everything the engine can do. With `Accept: "
        f"{ARROW_STREAM}` the answer is an Arrow IPC stream: `id`, `similarity` and the metadata "
        "columns, one row a hit; its schema's metadata holds `cursor`, `offset`, `ignored` and "
        "`facets`.",
        body=SearchRequest,
        examples={
            "a line": {"query": "golden retriever - leash", "k": 5},
            "terms": {
                "query": [{"text": "a dog"}, {"id": 543, "weight": 0.5}],
                "filter": "caption contains 'dog'",
                "deduplicate": True,
            },
            "facets of hits": {"query": "flag", "k": 9, "pictures": "none", "facets": ["caption"]},
        },
        answers={
            200: Answered(
                "The hits, best first.",
                SearchAnswer,
                media=(ARROW_STREAM,),
                headers=_FOUND,
                example={
                    "index": "index",
                    "hits": [
                        {
                            "id": 543,
                            "similarity": 0.83,
                            "metadata": {"caption": "guide dog"},
                            "thumbnail_url": "/indices/index/thumbnails/543",
                            "picture_url": "/indices/index/pictures/543",
                        }
                    ],
                    "facets": {},
                    "cursor": None,
                    "offset": 0,
                    "ignored": [],
                    "took_ms": 3.2,
                },
            )
        },
        errors=_SEARCH_ERRORS,
    ),
    Operation(
        "post",
        "/v1/map",
        "search",
        "map",
        "Items on a map",
        description="Near to each other where their embeddings are, in clusters that are named by "
        "the words of their captions. The same request gets the same answer.",
        body=MapRequest,
        examples={
            "some of all": {"sample": 500},
            "items": {"ids": [7, 543], "method": "pca", "clusters": 1},
        },
        answers={
            200: Answered(
                "Points and clusters.",
                MapAnswer,
                example={
                    "index": "index",
                    "method": "pca",
                    "caption_column": "caption",
                    "total": 3961,
                    "ids": [7, 543],
                    "x": [1.0, 0.0],
                    "y": [0.5, 0.5],
                    "cluster": [0, 0],
                    "clusters": [{"x": 1.0, "y": 0.5, "size": 2, "words": ["face", "dog"]}],
                    "took_ms": 4.2,
                },
            )
        },
        errors=(404,),
    ),
    Operation(
        "post",
        "/knn-service",
        "clip-retrieval",
        "knn",
        "Search, as clip-retrieval's clients do",
        body=KnnRequest,
        examples={
            "words": {"text": "a dog", "num_images": 5},
            "an item": {"id": 543, "num_images": 5, "deduplicate": True},
            "a vector": _VECTOR_SEARCH,
        },
        answers={
            200: Answered(
                "The hits, best first.",
                {"type": "array", "items": ref(KnnHit)},
                headers=_FOUND,
                example=[{"caption": "guide dog", "id": 543, "similarity": 0.83}],
            )
        },
        errors=_SEARCH_ERRORS,
    ),
    Operation(
        "post",
        "/metadata",
        "clip-retrieval",
        "metadata",
        "Metadata of ids",
        body=MetadataRequest,
        examples={"ids": {"ids": [7, 543], "images": "none"}},
        answers={
            200: Answered(
                "One row an id, in the order of the ids.",
                {"type": "array", "items": ref(MetadataRow)},
                example=[{"id": 7, "metadata": {"caption": "grinning face"}}],
            )
        },
        errors=(404,),
    ),
    Operation(
        "get",
        "/indices-list",
        "clip-retrieval",
        "names",
        "Names of the indices",
        answers={
            200: Answered(
                "The first is searched where none is named.",
                {"type": "array", "items": {"type": "string"}},
                example=["index"],
            )
        },
    ),
    Operation(
        "get",
        "/v1/indices",
        "indices",
        "indices",
        "All indices, described",
        answers={200: Answered("One a name.", {"type": "array", "items": _ANY_INDEX})},
    ),
    *(
        Operation(
            "get",
            path,
            "indices",
            name,
            "One index, described",
            description=description,
            parameters=(_NAME,),
            answers={200: Answered("What it is and how it is.", _ANY_INDEX)},
            errors=(404,),
        )
        for path, name, description in (
            ("/v1/indices/{name}", "index", "Its size, encoder, recall as measured, columns."),
            ("/indices/{name}", "indexAgain", "The same as `/v1/indices/{name}`."),
        )
    ),
    Operation(
        "get",
        "/indices/{name}/thumbnails/{id}",
        "indices",
        "thumbnail",
        "A small copy of a picture",
        parameters=(_NAME, _ID, _SIZE),
        answers={
            200: Answered("JPEG, or WebP where it has transparency.", None, _PICTURES, _KEPT),
            304: _UNCHANGED,
            412: _MISMATCH,
        },
        errors=(404,),
    ),
    Operation(
        "get",
        "/indices/{name}/pictures/{id}",
        "indices",
        "picture",
        "The file of a picture",
        parameters=(_NAME, _ID),
        answers={
            200: Answered("As it lies on the disk.", None, _PICTURES, _KEPT),
            206: Answered("The part that `Range` asks for.", None, _PICTURES, _KEPT),
            304: _UNCHANGED,
            412: _MISMATCH,
        },
        errors=(404, 416),
    ),
    Operation(
        "get",
        "/health",
        "operation",
        "health",
        "Whether the process runs",
        description="Answered at once, however many requests wait.",
        answers={200: Answered("It does.", Alive, example={"status": "alive", "version": "1.0"})},
    ),
    Operation(
        "get",
        "/ready",
        "operation",
        "ready",
        "Whether every index answers",
        answers={
            200: Answered("They do.", Readiness),
            503: Answered("Some do not, or encoders are loading.", Readiness),
        },
    ),
    Operation(
        "get",
        "/metrics",
        "operation",
        "metrics",
        "Metrics for Prometheus",
        answers={200: Answered("In its text format.", media=("text/plain",))},
    ),
    Operation(
        "get",
        "/metrics-summary",
        "operation",
        "metricsSummary",
        "What the steps of a query take",
        answers={200: Answered("A table for people.", media=("text/plain",))},
    ),
    Operation(
        "post",
        "/admin/reload",
        "operation",
        "reload",
        "Serve what the folders hold now",
        description="Also the indices that indices_paths.json names now. No request is dropped.",
        answers={
            200: Answered(
                "All are reloaded.", Reloaded, example={"reloaded": ["index"], "failed": {}}
            ),
            503: Answered("Those that failed go on as they were.", Reloaded),
        },
    ),
    Operation(
        "get",
        "/",
        "page",
        "page",
        "The page",
        answers={200: Answered("HTML.", media=("text/html",), headers=_KEPT), 304: _UNCHANGED},
    ),
    Operation(
        "get",
        "/config.json",
        "page",
        "config",
        "What the page starts from",
        answers={200: Answered("Settings.", PageSettings, headers=("Cache-Control",))},
    ),
    Operation(
        "get",
        "/docs",
        "page",
        "docs",
        "This document, to read",
        answers={200: Answered("HTML.", media=("text/html",), headers=_KEPT), 304: _UNCHANGED},
    ),
    Operation(
        "get",
        "/openapi.json",
        "page",
        "openapi",
        "This document",
        answers={200: Answered("OpenAPI 3.1.", {"type": "object"}, headers=("Cache-Control",))},
    ),
)
