"""`POST /knn-service`, field by field, as clients of clip-retrieval rely on it."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from search_back.interfaces import Encoder
from tests.conftest import SMALL, Chain
from tests.folders import ids_of

TEXT = "a red fruit"


def ask(client: FlaskClient, **fields: Any) -> Any:
    """Post a body as `ClipClient` does: without a content type."""
    answer = client.post("/knn-service", data=json.dumps(fields))
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/json"
    return answer.json


def picture(chain: Chain, id_: int = 7) -> bytes:
    with open(chain.rows[id_]["image_path"], "rb") as file:
        return file.read()


def test_text_is_answered_in_the_order_of_the_inner_product(
    client: FlaskClient, chain: Chain, emoji: Encoder
) -> None:
    items = ask(client, text=TEXT)

    query = emoji.encode_texts([TEXT])[0]
    assert ids_of(items) == chain.ranking(query)[:40]
    similarities = [item["similarity"] for item in items]
    assert similarities == sorted(similarities, reverse=True)
    expected = chain.vectors("image")[ids_of(items)] @ query
    assert similarities == pytest.approx(expected.tolist(), abs=1e-3)


def test_an_item_is_its_metadata_with_id_and_similarity(client: FlaskClient, chain: Chain) -> None:
    (item,) = ask(client, text=TEXT, num_images=1)

    row = chain.rows[item["id"]]
    there = {"image_path", "caption", "name", "keywords", "group"}
    assert set(item) == there | {"id", "similarity", "image"}
    assert {name: item[name] for name in there} == {name: row[name] for name in there}
    assert isinstance(item["id"], int)
    assert isinstance(item["similarity"], float)


def test_the_picture_is_a_base64_jpeg(client: FlaskClient, chain: Chain) -> None:
    (item,) = ask(client, text=TEXT, num_images=1)

    with Image.open(io.BytesIO(base64.b64decode(item["image"], validate=True))) as sent:
        assert sent.format == "JPEG"
        with Image.open(chain.rows[item["id"]]["image_path"]) as original:
            assert sent.size == original.size


def test_forty_items_by_default_and_metadata_on_all(client: FlaskClient) -> None:
    items = ask(client, text=TEXT)
    assert len(items) == 40
    assert all("caption" in item for item in items)


def test_only_the_first_num_images_carry_metadata(client: FlaskClient) -> None:
    items = ask(client, text=TEXT, num_images=3, num_result_ids=10)

    assert len(items) == 10
    assert all("caption" in item and "image" in item for item in items[:3])
    assert all(set(item) == {"id", "similarity"} for item in items[3:])
    assert ids_of(items) == ids_of(ask(client, text=TEXT, num_images=10))


def test_fewer_ids_than_images_are_fine(client: FlaskClient) -> None:
    assert len(ask(client, text=TEXT, num_images=10, num_result_ids=4)) == 4


def test_no_padding_and_no_id_twice_where_more_is_asked_than_there_is(
    client: FlaskClient, chain: Chain
) -> None:
    ids = ids_of(ask(client, text=TEXT, num_images=0, num_result_ids=3000))
    assert sorted(ids) == list(range(len(chain.rows)))
    assert len(ids) >= SMALL


@pytest.mark.parametrize("count", [{"num_images": 0}, {"num_result_ids": 0}])
def test_nothing_asked_for_is_an_empty_list(client: FlaskClient, count: dict[str, int]) -> None:
    assert ask(client, text=TEXT, **count) == []


@pytest.mark.parametrize("prefix", ["", "data:image/jpeg;base64,", "data:image/png;base64,"])
def test_a_picture_in_base64_finds_itself(client: FlaskClient, chain: Chain, prefix: str) -> None:
    image = prefix + base64.b64encode(picture(chain)).decode()
    items = ask(client, image=image, num_images=3)
    assert items[0]["id"] == 7
    assert items[0]["similarity"] == pytest.approx(1, abs=2e-3)


def test_a_picture_by_its_address_finds_itself(
    client: FlaskClient, chain: Chain, picture_host: str
) -> None:
    name = chain.rows[7]["image_path"].rsplit("/")[-1]
    assert ask(client, image_url=f"{picture_host}/{name}", num_images=1)[0]["id"] == 7


@pytest.mark.parametrize("scale", [1.0, 12.5, 1e-3, 1e30, 1e-30])
def test_an_embedding_need_not_be_normalised(
    client: FlaskClient, chain: Chain, scale: float
) -> None:
    embedding = chain.vectors("image")[11].astype(np.float64) * scale
    items = ask(client, embedding_input=embedding.tolist(), num_images=5)
    assert ids_of(items) == chain.ranking(chain.vectors("image")[11])[:5]
    assert items[0]["similarity"] == pytest.approx(1, abs=2e-3)


def test_whole_numbers_are_an_embedding_too(client: FlaskClient, chain: Chain) -> None:
    basis = [0] * chain.vectors("image").shape[1]
    basis[3] = 2
    query = np.array(basis, np.float32) / 2
    assert ids_of(ask(client, embedding_input=basis, num_images=5)) == chain.ranking(query)[:5]


def test_an_item_is_a_query_too(client: FlaskClient) -> None:
    items = ask(client, id=5, num_images=2)
    assert items[0]["id"] == 5
    assert items[0]["similarity"] == pytest.approx(1, abs=1e-3)


def test_precedence_is_text_image_address_embedding(
    client: FlaskClient, chain: Chain, picture_host: str
) -> None:
    name = chain.rows[9]["image_path"].rsplit("/")[-1]
    inputs = {
        "text": TEXT,
        "image": base64.b64encode(picture(chain, 7)).decode(),
        "image_url": f"{picture_host}/{name}",
        "embedding_input": chain.vectors("image")[11].tolist(),
    }
    by_text = ask(client, text=TEXT, num_images=3)
    assert ask(client, **inputs, num_images=3) == by_text
    for empty, winner in (("text", 7), ("image", 9), ("image_url", 11)):
        inputs[empty] = "" if empty == "text" else None
        assert ask(client, **inputs, num_images=1)[0]["id"] == winner


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_field_counts_as_absent(client: FlaskClient, chain: Chain, empty: Any) -> None:
    embedding = chain.vectors("image")[11].tolist()
    items = ask(
        client, text=empty, image=empty, image_url=empty, embedding_input=embedding, num_images=1
    )
    assert ids_of(items) == [11]


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": None, "image": None, "num_images": 3}, {"indice_name": ""}]
)
def test_a_query_without_input_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    answer = client.post("/knn-service", data=json.dumps(body))
    assert answer.status_code == 400
    assert "the query is empty" in answer.json["message"]
    assert "image_url" in answer.json["message"]


def test_modality_text_searches_the_captions(
    client: FlaskClient, chain: Chain, emoji: Encoder
) -> None:
    items = ask(client, text=TEXT, modality="text", num_images=9)
    assert ids_of(items) == chain.ranking(emoji.encode_texts([TEXT])[0], "text")[:9]


@pytest.mark.parametrize("name", ["emoji", None, ""])
def test_the_first_index_answers_where_none_is_named(client: FlaskClient, name: Any) -> None:
    assert ask(client, text=TEXT, indice_name=name) == ask(client, text=TEXT)


@pytest.mark.parametrize(
    "fields",
    [
        {"aesthetic_score": "", "aesthetic_weight": ""},
        {"aesthetic_score": None, "aesthetic_weight": None},
        {"aesthetic_weight": "0.5"},
        {"aesthetic_weight": 0.25},
        {"use_mclip": None, "deduplicate": None, "use_safety_model": None},
        {"use_mclip": False, "use_violence_detector": False},
        {"num_images": None, "num_result_ids": None, "modality": None},
        {"a_field_nobody_knows": 1},
    ],
)
def test_what_is_off_or_unknown_changes_nothing(
    client: FlaskClient, fields: dict[str, Any]
) -> None:
    answer = client.post("/knn-service", data=json.dumps({"text": TEXT, **fields}))
    assert answer.status_code == 200, answer.text
    assert answer.json == ask(client, text=TEXT)
    assert "X-Ignored-Options" not in answer.headers


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"aesthetic_score": 9}, {"aesthetic_score"}),
        ({"aesthetic_score": "9", "aesthetic_weight": "0.5"}, {"aesthetic_score"}),
        ({"aesthetic_score": 0}, {"aesthetic_score"}),
        ({"use_safety_model": True}, {"use_safety_model"}),
        (
            {"use_mclip": True, "use_violence_detector": True},
            {"use_mclip", "use_violence_detector"},
        ),
    ],
)
def test_a_flag_without_its_model_is_ignored_and_said_so(
    client: FlaskClient, fields: dict[str, Any], ignored: set[str]
) -> None:
    answer = client.post("/knn-service", data=json.dumps({"text": TEXT, **fields}))
    assert answer.status_code == 200
    assert answer.json == ask(client, text=TEXT)
    assert set(answer.headers["X-Ignored-Options"].split(", ")) == ignored


def test_deduplicate_leaves_no_two_near_duplicates(client: FlaskClient, chain: Chain) -> None:
    whole = ids_of(ask(client, text=TEXT, num_images=0, num_result_ids=100))
    kept = ids_of(ask(client, text=TEXT, num_images=0, num_result_ids=100, deduplicate=True))

    assert kept == [id_ for id_ in whole if id_ in set(kept)]
    rows = chain.vectors("image")[kept]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    likeness = rows @ rows.T - np.eye(len(rows), dtype=np.float32)
    assert likeness.max() < 0.941


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain;charset=UTF-8", "application/json", "application/x-www-form-urlencoded"],
)
def test_a_body_is_json_whatever_its_type_says(
    client: FlaskClient, content_type: str | None
) -> None:
    body = json.dumps({"text": TEXT, "num_images": 2})
    answer = client.post("/knn-service", data=body, content_type=content_type)
    assert answer.status_code == 200
    assert len(answer.json) == 2


def test_any_language_is_text(client: FlaskClient) -> None:
    for text in ("красное яблоко", "りんご", "🍎", "a\u0000b", "x" * 9999):
        assert len(ask(client, text=text, num_images=1)) == 1


def test_pictures_can_be_linked_instead(client: FlaskClient) -> None:
    (item,) = ask(client, text=TEXT, num_images=1, images="link")
    assert "image" not in item
    assert item["thumbnail_url"] == f"/indices/emoji/thumbnails/{item['id']}"
    assert client.get(item["thumbnail_url"]).status_code == 200
    assert client.get(item["picture_url"], buffered=True).status_code == 200


def test_or_left_out(client: FlaskClient) -> None:
    (item,) = ask(client, text=TEXT, num_images=1, images="none")
    assert not {"image", "thumbnail_url", "picture_url"} & set(item)
