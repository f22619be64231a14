"""What requests leave behind: a short form of ``benchmarks/soak.py``."""

from __future__ import annotations

import base64
import gc
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.conftest import Chain

ROUNDS = 40


def private_kb() -> int:
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("RssAnon:")
    )
    return int(line.split()[1])


@pytest.fixture
def ask(client: FlaskClient, chain: Chain) -> Callable[[], None]:
    """One of each kind of request, the same every time, so that every cache is full at once."""
    picture = base64.b64encode(next(chain.pictures.glob("*.jpg")).read_bytes()).decode()
    bodies = (
        {"query": "cat", "k": 30},
        {"query": "flag", "filter": "caption contains 'a'", "facets": ["group"], "k": 10},
        {"query": [{"image": picture}, {"text": "red", "weight": -0.5}], "k": 10},
        {"query": "cat", "deduplicate": True, "group_by": "group", "diversity": 0.3},
        {"query": "cat", "k": -1},
        {"query": [{"image": "bm90IGEgcGljdHVyZQ=="}]},
    )

    def asked() -> None:
        for body in bodies:
            answer = client.post("/v1/search", json=body)
            assert answer.status_code in {200, 400}
            if cursor := answer.json.get("cursor"):
                assert client.post("/v1/search", json=body | {"cursor": cursor}).status_code == 200
        assert client.post("/knn-service", json={"text": "tree", "num_images": 5}).json
        assert client.post("/metadata", json={"ids": [1, 2], "images": "inline"}).json
        assert client.get("/indices/emoji/thumbnails/3").status_code == 200
        assert client.get("/metrics").status_code == 200

    return asked


def test_memory_does_not_grow_with_requests(ask: Callable[[], None]) -> None:
    for _ in range(ROUNDS):
        ask()
    gc.collect()
    objects, memory = len(gc.get_objects()), private_kb()
    for _ in range(ROUNDS):
        ask()
    gc.collect()
    assert len(gc.get_objects()) - objects < 2 * ROUNDS
    assert private_kb() - memory < 16_000
