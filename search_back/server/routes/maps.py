"""``POST /v1/map``: items laid out in two dimensions, in clusters with names."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from flask import Blueprint, Response, request

from search_back.config import Limits
from search_back.errors import LimitExceeded
from search_back.layout import Map, MapQuery
from search_back.server.answers import json_response
from search_back.server.schemas import MapRequest, parse
from search_back.services import Maps, Services

DIGITS: Final = 5


def maps_blueprint(services: Services) -> Blueprint:
    """``/v1/map``."""
    api = Blueprint("maps", __name__)
    maps = Maps()

    @api.post("/v1/map")
    def map_() -> Response:
        began = time.perf_counter()
        asked = parse(MapRequest, request.get_data())
        index = services.index(asked.index)
        found = maps.lay_out(index, to_query(asked, services.settings.limits))
        answer = to_json(found, index.name)
        answer["took_ms"] = round((time.perf_counter() - began) * 1e3, 3)
        return json_response(answer)

    return api


def to_query(asked: MapRequest, limits: Limits) -> MapQuery:
    """What to lay out; raises ``LimitExceeded``."""
    count = len(asked.ids) if asked.ids is not None else asked.sample or 0
    if count > limits.max_map_points:
        raise LimitExceeded("max_map_points", value=count, maximum=limits.max_map_points)
    return MapQuery(
        ids=None if asked.ids is None else tuple(asked.ids),
        sample=asked.sample or 0,
        modality=asked.modality,
        method=asked.method,
        clusters=asked.clusters,
        caption_column=asked.caption_column,
    )


def to_json(found: Map, index: str) -> dict[str, Any]:
    """The answer, but for the time it took: a list a column, which is half of an object a point."""
    # A screen has fewer pixels than these digits tell apart.
    x, y = found.points.astype(np.float64).round(DIGITS).T
    return {
        "index": index,
        "method": found.method,
        "caption_column": found.caption_column,
        "total": found.total,
        "ids": found.ids.tolist(),
        "x": x.tolist(),
        "y": y.tolist(),
        "cluster": found.labels.tolist(),
        "clusters": [
            {
                "x": round(cluster.x, DIGITS),
                "y": round(cluster.y, DIGITS),
                "size": cluster.size,
                "words": list(cluster.words),
            }
            for cluster in found.clusters
        ],
    }
