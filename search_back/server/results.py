"""What goes out over HTTP: hits and rows as the clients expect them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import numpy as np

from search_back.server.schemas import Pictures
from search_back.services import IMAGE_PATH, IndexService
from search_back.types import Facet, Page, RangeFacet


def columns_to_read(index: IndexService) -> tuple[str, ...]:
    """The columns of an answer, and the one that says where the picture is."""
    wanted = index.options.columns_to_return
    return (*wanted, *(c for c in index.picture_columns if c not in wanted))


def page_to_json(
    page: Page, index: IndexService, *, pictures: Pictures, inline_limit: int
) -> list[dict[str, Any]]:
    """The flat list of ``/knn-service``: metadata merged with ``id`` and ``similarity``."""
    table = page.metadata
    wanted = [name for name in table.column_names if name in index.options.columns_to_return]
    items: list[dict[str, Any]] = table.select(wanted).to_pylist()
    items += ({} for _ in range(len(page) - len(items)))
    if pictures != "none" and IMAGE_PATH in table.column_names:
        paths = table.column(IMAGE_PATH).to_pylist()
        shown = paths[:inline_limit] if pictures == "inline" else paths
        for item, id_, path in zip(items, page.ids.tolist(), shown, strict=False):
            item.update(picture_fields(id_, path, index, pictures=pictures))
    for item, id_, similarity in zip(
        items, page.ids.tolist(), page.similarities.tolist(), strict=True
    ):
        item["id"] = id_
        item["similarity"] = similarity
    return items


def rows_to_json(
    ids: Sequence[int], index: IndexService, *, pictures: Pictures, inline_limit: int
) -> list[dict[str, Any]]:
    """The list of ``/metadata``, in the order of ``ids``; an unknown id says so in its place."""
    store = index.snapshot.metadata
    known = [id_ for id_ in ids if 0 <= id_ < len(store)]
    there = set(store.schema.names)
    columns = [c for c in columns_to_read(index) if c in there]
    rows = iter(store.take(np.array(known, dtype=np.int64), columns).to_pylist())
    answers = []
    for position, id_ in enumerate(ids):
        if not 0 <= id_ < len(store):
            message = f"index {index.name!r} has no id {id_}"
            answers.append({"id": id_, "metadata": {}, "message": message, "code": "unknown_id"})
            continue
        mode: Pictures = "none" if position >= inline_limit and pictures == "inline" else pictures
        row: Mapping[str, Any] = next(rows, {})
        answers.append({"id": id_, "metadata": row_to_json(id_, row, index, pictures=mode)})
    return answers


def row_to_json(
    id_: int, row: Mapping[str, Any], index: IndexService, *, pictures: Pictures
) -> dict[str, Any]:
    """One row, with its picture inlined or linked where it may be shown."""
    wanted = index.options.columns_to_return
    item = {name: value for name, value in row.items() if name in wanted}
    return item | picture_fields(id_, row.get(IMAGE_PATH), index, pictures=pictures)


def picture_fields(
    id_: int,
    path: object,
    index: IndexService,
    *,
    pictures: Pictures,
    placeholders: bool = False,
) -> dict[str, str]:
    """``image`` in base64, or ``thumbnail_url`` and ``picture_url``, where it may be shown.

    With ``placeholders``, a linked one has its ``placeholder`` too, where that is known.
    """
    if not isinstance(path, str) or pictures == "none":
        return {}
    if pictures == "inline":
        encoded = index.pictures.inline_jpeg(path)
        return {} if encoded is None else {"image": encoded}
    file = index.pictures.resolve(path)
    if file is None:
        return {}
    placeholder = index.pictures.placeholder(file) if placeholders else None
    base = f"/indices/{quote(index.name, safe='')}"
    query = index.picture_query(id_)
    return {
        "thumbnail_url": f"{base}/thumbnails/{id_}{query}",
        "picture_url": f"{base}/pictures/{id_}{query}",
        **({} if placeholder is None else {"placeholder": placeholder}),
    }


def facets_to_json(facets: Mapping[str, Facet]) -> dict[str, Any]:
    """Of values a list of ``{value, count}``, null last; of numbers and times their spans."""
    return {name: _facet(facet) for name, facet in facets.items()}


def _facet(facet: Facet) -> Any:
    if isinstance(facet, RangeFacet):
        return asdict(facet)
    counts = [{"value": value, "count": count} for value, count in facet.values]
    return [*counts, {"value": None, "count": facet.nulls}] if facet.nulls else counts
