"""From what people write to the terms that a server takes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search_back.errors import InputError
from search_back.search import Part, parse_query

Query = str | Path | bytes | Mapping[str, Any] | Sequence["Query"]
"""What can be asked for.

A line such as ``2:golden retriever + ./pool.jpg - leash``, the path or the bytes of a picture, a
term as ``POST /v1/search`` takes it (``{"text": "leash", "weight": -1}``), or several of these.
"""


def to_terms(query: Query) -> list[dict[str, Any]]:
    """The terms of a query; reads the files that it names. Raises ``InputError``."""
    if isinstance(query, str):
        return [_of_part(part) for part in parse_query(query)]
    if isinstance(query, Path):
        return [{"image": _encoded(query)}]
    if isinstance(query, bytes):
        return [{"image": base64.b64encode(query).decode()}]
    if isinstance(query, Mapping):
        return [_of_mapping(query)]
    return [term for part in query for term in to_terms(part)]


def _of_part(part: Part) -> dict[str, Any]:
    term: dict[str, Any] = {"weight": part.weight}
    if part.kind == "path":
        return term | {"image": _encoded(Path(part.value).expanduser())}
    if part.kind == "id":
        return term | {"id": int(part.value)}
    return term | {"image_url" if part.kind == "url" else "text": part.value}


def _of_mapping(term: Mapping[str, Any]) -> dict[str, Any]:
    """A term as it is, but for values that JSON cannot hold."""
    plain = dict(term)
    image, embedding = plain.get("image"), plain.get("embedding")
    if isinstance(image, Path):
        plain["image"] = _encoded(image)
    elif isinstance(image, bytes):
        plain["image"] = base64.b64encode(image).decode()
    if embedding is not None:
        plain["embedding"] = [float(value) for value in embedding]
    return plain


def _encoded(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise InputError(
            "the picture cannot be read", value=str(path), remedy=str(error.strerror)
        ) from error
