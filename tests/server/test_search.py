"""`POST /v1/search`: what it passes on, what it answers, what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions, Limits
from search_back.server.arrow import ARROW_STREAM
from tests.conftest import Chain
from tests.folders import unit_rows, write_folder

COUNT = 40
VECTORS = unit_rows(COUNT)


@pytest.fixture
def reader(serve_app: Callable[..., Flask], tmp_path: Path) -> FlaskClient:
    numbers = range(COUNT)
    table = pa.table(
        {
            "caption": [f"thing {i}" for i in numbers],
            "width": list(numbers),
            "host": [None if i % 5 == 4 else f"host{i % 5}" for i in numbers],
        }
    )
    folder = write_folder(tmp_path / "things", VECTORS, table)
    options = IndexOptions(folder, columns_to_return=("caption", "width", "host"))
    limits = Limits(max_results=30, max_query_terms=3, max_query_addresses=1)
    return serve_app({"things": options}, limits=limits).test_client()


def ask(client: FlaskClient, **body: Any) -> Any:
    answer = client.post("/v1/search", data=json.dumps(body))
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(client: FlaskClient, **body: Any) -> Any:
    answer = client.post("/v1/search", data=json.dumps(body))
    assert answer.status_code in (400, 404, 413), answer.text
    return answer.json


def nearest(vector: np.ndarray, count: int) -> list[int]:
    similarities = VECTORS @ vector
    return [int(i) for i in np.argsort(-similarities, kind="stable")[:count]]


def test_terms_are_added_by_their_weights(reader: FlaskClient) -> None:
    terms = [
        {"embedding": VECTORS[3].tolist(), "weight": 2},
        {"id": 7},
        {"embedding": (5 * VECTORS[11]).tolist(), "weight": -0.5},
    ]
    found = ask(reader, query=terms, k=6)
    expected = nearest(2 * VECTORS[3] + VECTORS[7] - 0.5 * VECTORS[11], 6)
    assert [hit["id"] for hit in found["hits"]] == expected
    assert found["index"] == "things"
    assert found["took_ms"] > 0
    first = found["hits"][0]
    assert first["metadata"] == {
        "caption": f"thing {first['id']}",
        "width": first["id"],
        "host": None if first["id"] % 5 == 4 else f"host{first['id'] % 5}",
    }


def test_a_line_is_read_as_its_terms(reader: FlaskClient) -> None:
    by_line = ask(reader, query="2:#3 + #7 - .5:#11", k=6)
    terms = [{"id": 3, "weight": 2}, {"id": 7}, {"id": 11, "weight": -0.5}]
    assert by_line["hits"] == ask(reader, query=terms, k=6)["hits"]


def test_a_filter_a_threshold_and_facets(reader: FlaskClient) -> None:
    found = ask(
        reader,
        query="#3",
        k=30,
        filter="width between 10 and 29 and host is not null",
        facets=["host", "width"],
        columns=["width"],
    )
    ids = [hit["id"] for hit in found["hits"]]
    passing = [i for i in nearest(VECTORS[3], COUNT) if 10 <= i < 30 and i % 5 != 4]
    assert ids == passing
    assert all(hit["metadata"] == {"width": hit["id"]} for hit in found["hits"])
    assert found["facets"]["host"] == [{"value": f"host{i}", "count": 4} for i in range(4)]
    assert {"value": 10, "count": 1} in found["facets"]["width"]

    wide = ask(reader, query="#3", facets=["width"])
    spans, shown = wide["facets"]["width"], [hit["id"] for hit in wide["hits"]]
    assert (spans["least"], spans["greatest"]) == (min(shown), max(shown))
    assert sum(spans["counts"]) == len(shown) == 30

    similarities = [hit["similarity"] for hit in found["hits"]]
    above = ask(reader, query="#3", k=30, filter="width >= 10", threshold=similarities[4])
    assert all(hit["similarity"] >= similarities[4] for hit in above["hits"])
    assert len(above["hits"]) >= 5


def test_a_facet_counts_what_is_null(reader: FlaskClient) -> None:
    found = ask(reader, query="#0", k=30, facets=["host"], filter="width < 10")
    assert found["facets"]["host"][-1] == {"value": None, "count": 2}


def test_grouping_and_one_of_each_value(reader: FlaskClient) -> None:
    grouped = ask(reader, query="#0", k=8, group_by="host", per_group=2)
    hosts = [hit["metadata"]["host"] for hit in grouped["hits"]]
    assert all(hosts.count(host) <= 2 for host in hosts if host is not None)
    single = ask(reader, query="#0", k=30, deduplicate_by="host")
    named = [hit["metadata"]["host"] for hit in single["hits"] if hit["metadata"]["host"]]
    assert sorted(named) == ["host0", "host1", "host2", "host3"]


def test_pages_follow_one_another(reader: FlaskClient) -> None:
    ids, cursor, offsets = [], None, []
    for _ in range(5):
        page = ask(reader, query="#3", k=9, cursor=cursor, columns=[], pictures="none")
        ids += [hit["id"] for hit in page["hits"]]
        offsets.append(page["offset"])
        cursor = page["cursor"]
        if cursor is None:
            break
    assert ids == nearest(VECTORS[3], COUNT)
    assert offsets == [0, 9, 18, 27, 36]


def test_thousands_as_an_arrow_stream(reader: FlaskClient) -> None:
    body = {"query": "#3", "k": 30, "columns": ["width", "caption"], "facets": ["host"]}
    answer = reader.post(
        "/v1/search", data=json.dumps(body), headers={"Accept": f"{ARROW_STREAM}, */*;q=0.1"}
    )
    assert answer.mimetype == ARROW_STREAM
    with pa.ipc.open_stream(answer.data) as stream:
        table = stream.read_all()
    expected = ask(reader, **body)
    assert table.schema.names == ["id", "similarity", "width", "caption"]
    assert table.schema.field("id").type == pa.int64()
    assert table.schema.field("similarity").type == pa.float32()
    assert table["id"].to_pylist() == [hit["id"] for hit in expected["hits"]]
    assert table["width"].to_pylist() == [hit["metadata"]["width"] for hit in expected["hits"]]
    told = {key.decode(): value for key, value in table.schema.metadata.items()}
    assert json.loads(told["facets"]) == expected["facets"]
    assert told["cursor"].decode() == expected["cursor"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": []}, "query"),
        ({"query": " "}, "query"),
        ({"query": "a + "}, "query"),
        ({"query": 5}, "query"),
        ({"query": [{"weight": 2}]}, "query.0"),
        ({"query": [{"text": "a", "id": 3}]}, "query.0"),
        ({"query": [{"id": 1}, {"txt": "a"}]}, "query.1.txt"),
        ({"query": [{"id": -1}]}, "query.0.id"),
        ({"query": [{"id": 1, "weight": 1e9}]}, "query.0.weight"),
        ({"query": [{"embedding": ["x"]}]}, "query.0.embedding.0"),
        ({"query": "#1", "k": 0}, "k"),
        ({"query": "#1", "k": 31}, "k"),
        ({"query": "#1", "kk": 3}, "kk"),
        ({"query": "#1", "columns": ["nothing"]}, "columns"),
        ({"query": "#1", "facets": ["nothing"]}, "facets"),
        ({"query": "#1", "group_by": "nothing"}, "group_by"),
        ({"query": "#1", "deduplicate_by": "nothing"}, "deduplicate_by"),
        ({"query": "#1", "filter": "width >"}, "filter"),
        ({"query": "#1", "cursor": "made up"}, "cursor"),
        ({"query": "#1", "diversity": 2}, "diversity"),
        ({"query": "#1", "modality": "sound"}, "modality"),
        ({"query": "#1", "pictures": "all"}, "pictures"),
        ({"query": "./a.jpg"}, "query"),
        ({"query": [{"image": "???"}]}, "image"),
    ],
)
def test_what_is_wrong_is_named(reader: FlaskClient, body: dict[str, Any], field: str) -> None:
    told = refused(reader, **body)
    assert told["message"]
    assert field in [error["field"] for error in told["errors"]]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"query": "#1", "index": "other"}, "unknown_index", "there is things"),
        ({"query": "#99"}, "unknown_id", "99"),
        ({"query": "#1 + #2 + #3 + #4"}, "limit_exceeded", "max_query_terms is 3"),
        ({"query": "http://a.b + http://c.d"}, "limit_exceeded", "max_query_addresses is 1"),
        ({"query": "#1", "modality": "text"}, "no_such_modality", "use modality image"),
        ({"query": [{"embedding": [1.0]}]}, "dimension_mismatch", "16"),
    ],
)
def test_what_cannot_be_answered_says_why(
    reader: FlaskClient, body: dict[str, Any], code: str, said: str
) -> None:
    told = refused(reader, **body)
    assert told["code"] == code
    assert said in told["message"]


def test_words_pictures_and_their_addresses(client: FlaskClient, chain: Chain) -> None:
    picture = Path(chain.rows[2]["image_path"]).read_bytes()
    by_picture = ask(client, query=[{"image": base64.b64encode(picture).decode()}], k=3)
    hit = by_picture["hits"][0]
    assert hit["id"] == 2
    assert client.get(hit["thumbnail_url"]).mimetype == "image/jpeg"
    assert client.get(hit["picture_url"], buffered=True).data == picture
    inline = ask(client, query="#2", k=1, pictures="inline", columns=["caption"])["hits"][0]
    assert base64.b64decode(inline["image"])[:2] == b"\xff\xd8"
    assert set(inline["metadata"]) == {"caption"}
    words = ask(client, query=chain.rows[2]["caption"], k=10, pictures="none")
    assert 2 in [found["id"] for found in words["hits"]]
    assert set(words["hits"][0]) == {"id", "similarity", "metadata"}
