"""What an operation is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from search_back.server.answers import IGNORED_HEADER, LIMITS_HEADER, TRUNCATED_HEADER

Tag = Literal["search", "clip-retrieval", "indices", "operation", "page"]
JSON: Final = "application/json"

HEADERS: Final[Mapping[str, dict[str, Any]]] = {
    IGNORED_HEADER: {
        "description": "What was asked for and is not to be had here, with commas between.",
        "schema": {"type": "string"},
    },
    LIMITS_HEADER: {
        "description": "The limit that left something out of the answer.",
        "schema": {"type": "string"},
    },
    TRUNCATED_HEADER: {
        "description": "How many texts were longer than the encoder reads.",
        "schema": {"type": "integer"},
    },
    "Retry-After": {
        "description": "Seconds after which there may be room, where too much was asked at once.",
        "schema": {"type": "integer"},
    },
    "ETag": {"description": "Names the content.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "How long it may be kept.", "schema": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the address, of its query, or a header."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    example: Any = None

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "schema": dict(self.schema),
        }
        if self.place == "path":
            told["required"] = True
        if self.example is not None:
            told["example"] = self.example
        return told


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer. ``schema``: a model, or a JSON schema that may name models by ``ref``.

    ``media``: content types beside or instead of JSON, which hold no JSON.
    """

    description: str
    schema: type[BaseModel] | Mapping[str, Any] | None = None
    media: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    example: Any = None

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {}
        if self.schema is not None:
            content[JSON] = {"schema": schema_of(self.schema)}
            if self.example is not None:
                content[JSON]["example"] = self.example
        content |= {media: {} for media in self.media}
        told: dict[str, Any] = {"description": self.description}
        if self.headers:
            told["headers"] = {name: header(name) for name in self.headers}
        if content:
            told["content"] = content
        return told


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route.

    ``errors``: the statuses it may answer beside those of every route. ``examples``: bodies, by
    what they ask for.
    """

    method: Literal["get", "post"]
    path: str
    tag: Tag
    name: str
    summary: str
    answers: Mapping[int, Answered]
    description: str = ""
    body: type[BaseModel] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()


def ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def header(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/headers/{name}"}


def schema_of(what: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    return ref(what) if isinstance(what, type) else dict(what)
