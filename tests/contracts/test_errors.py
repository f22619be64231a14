"""A client's mistake: a 4xx in JSON that says what was wrong, which value, what to do."""

from __future__ import annotations

import base64
import json
import logging
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions, Limits
from search_back.files import INDEX_MANIFEST, read_json, write_json
from search_back.services import Services
from tests.conftest import Chain
from tests.fakes import picture_bytes
from tests.folders import unit_rows, write_folder

FIELDS = [
    ({"text": 5}, "text", "5"),
    ({"text": ["a"]}, "text", "['a']"),
    ({"text": "a", "num_images": "many"}, "num_images", "'many'"),
    ({"text": "a", "num_images": 1.5}, "num_images", "1.5"),
    ({"text": "a", "num_images": -1}, "num_images", "-1"),
    ({"text": "a", "num_result_ids": -3}, "num_result_ids", "-3"),
    ({"text": "a", "modality": "audio"}, "modality", "'audio'"),
    ({"text": "a", "aesthetic_score": "high"}, "aesthetic_score", "'high'"),
    ({"text": "a", "aesthetic_score": 10}, "aesthetic_score", "10"),
    ({"text": "a", "aesthetic_weight": "much"}, "aesthetic_weight", "'much'"),
    ({"text": "a", "deduplicate": "perhaps"}, "deduplicate", "'perhaps'"),
    ({"text": "a", "indice_name": 3}, "indice_name", "3"),
    ({"embedding_input": "1,2"}, "embedding_input", "'1,2'"),
    ({"embedding_input": [1.0, "x"]}, "embedding_input.1", "'x'"),
    ({"embedding_input": [[1.0]]}, "embedding_input.0", "[1.0]"),
    ({"embedding_input": [float("nan")]}, "embedding_input.0", "nan"),
    ({"embedding_input": [float("inf")]}, "embedding_input.0", "inf"),
    ({"image": 3}, "image", "3"),
    ({"image": "not/base64!"}, "image", "not/base64!"),
    ({"image": "data:text/html,<p>"}, "image", "data:text/html"),
    ({"id": -1}, "id", "-1"),
]


def refused(client: FlaskClient, body: Any, *, path: str = "/knn-service") -> tuple[int, Any]:
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    answer = client.post(path, data=data)
    assert answer.mimetype == "application/json"
    assert answer.status_code >= 400
    assert answer.json["message"]
    assert answer.json["code"]
    assert "Traceback" not in answer.text
    return answer.status_code, answer.json


@pytest.mark.parametrize(("body", "field", "value"), FIELDS)
def test_a_wrong_field_is_named_with_its_value(
    client: FlaskClient, body: dict[str, Any], field: str, value: str
) -> None:
    status, error = refused(client, body)
    assert status == 400
    assert error["code"] == "invalid_field"
    assert error["errors"][0]["field"] == field
    assert value in error["errors"][0]["message"]
    assert value in error["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "ids"), ({"ids": None}, "ids"), ({"ids": "1"}, "ids"), ({"ids": [1, "x"]}, "ids.1")],
)
def test_likewise_in_metadata(client: FlaskClient, body: Any, field: str) -> None:
    status, error = refused(client, body, path="/metadata")
    assert (status, error["errors"][0]["field"]) == (400, field)


def test_a_million_mistakes_make_a_short_answer(client: FlaskClient) -> None:
    answer = client.post("/knn-service", data=json.dumps({"embedding_input": ["x"] * 10_000}))
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json["errors"]] == ["embedding_input.0"]
    assert len(answer.data) < 5000


@pytest.mark.parametrize("path", ["/knn-service", "/metadata"])
@pytest.mark.parametrize(
    "body",
    ["{", "[]", "null", '"text"', "text=a", b"\xff\xfe", '{"text": "\\ud800"}', "[" * 100_000],
)
def test_what_is_no_json_object_is_refused(
    client: FlaskClient, path: str, body: str | bytes
) -> None:
    status, error = refused(client, body, path=path)
    assert status == 400
    assert error["code"] == "invalid_body"
    assert "errors" not in error


def test_an_unknown_index_names_those_there_are(client: FlaskClient) -> None:
    status, error = refused(client, {"text": "a", "indice_name": "laion5B"})
    assert (status, error["code"]) == (404, "unknown_index")
    assert "laion5B" in error["message"]
    assert "emoji" in error["message"]
    status, _ = refused(client, {"ids": [1], "indice_name": "laion5B"}, path="/metadata")
    assert status == 404


def test_base64_that_is_no_picture(client: FlaskClient) -> None:
    status, error = refused(client, {"image": base64.b64encode(b"no picture").decode()})
    assert (status, error["code"]) == (400, "bad_picture")
    assert "JPEG" in error["message"]


def test_a_picture_cut_short(client: FlaskClient, chain: Chain) -> None:
    with open(chain.rows[0]["image_path"], "rb") as file:
        half = file.read()[:400]
    status, error = refused(client, {"image": base64.b64encode(half).decode()})
    assert (status, error["code"]) == (400, "bad_picture")


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("file:///etc/passwd", 400, "fetch_refused"),
        ("gopher://a/b", 400, "fetch_refused"),
        ("no address", 400, "fetch_refused"),
        ("HOST/none.jpg", 422, "fetch_failed"),
        ("http://127.0.0.1:1/a.jpg", 422, "fetch_failed"),
    ],
)
def test_an_address_that_gives_no_picture(
    client: FlaskClient, picture_host: str, url: str, status: int, code: str
) -> None:
    got, error = refused(client, {"image_url": url.replace("HOST", picture_host)})
    assert (got, error["code"]) == (status, code)


def test_private_addresses_are_refused_by_default(
    serve_app: Callable[..., Flask], chain: Chain, picture_host: str
) -> None:
    client = serve_app({"emoji": IndexOptions(chain.index)}).test_client()
    status, error = refused(client, {"image_url": f"{picture_host}/a.jpg"})
    assert (status, error["code"]) == (400, "fetch_refused")
    assert "allow_private_addresses" in error["message"]


def test_an_embedding_of_another_length(client: FlaskClient) -> None:
    status, error = refused(client, {"embedding_input": [1.0, 2.0]})
    assert (status, error["code"]) == (400, "dimension_mismatch")
    assert "192-d" in error["message"]
    assert "(2,)" in error["message"]


@pytest.mark.parametrize("embedding", [[], [0.0] * 192])
def test_an_embedding_that_points_nowhere(client: FlaskClient, embedding: list[float]) -> None:
    status, _ = refused(client, {"embedding_input": embedding})
    assert status == 400


def test_an_unknown_item(client: FlaskClient) -> None:
    status, error = refused(client, {"id": 10**6})
    assert (status, error["code"]) == (404, "unknown_id")


def test_a_modality_the_index_has_not(serve_app: Callable[..., Flask], tmp_path: Any) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(20))
    client = serve_app({"plain": IndexOptions(folder)}).test_client()
    status, error = refused(client, {"embedding_input": [1.0] * 16, "modality": "text"})
    assert (status, error["code"]) == (400, "no_such_modality")
    assert "use modality image" in error["message"]


def other_encoder(chain: Chain, folder: Any) -> Any:
    """The small index, said to be made by another encoder."""
    shutil.copytree(chain.index, folder)
    manifest = read_json(chain.index / INDEX_MANIFEST)
    manifest["encoder"] |= {"name": "ViT-X/99", "weights_sha256": "0" * 64}
    write_json(folder / INDEX_MANIFEST, manifest)
    return folder


def test_another_encoder_is_refused_and_both_are_named(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Any
) -> None:
    folder = other_encoder(chain, tmp_path / "i")
    client = serve_app({"i": IndexOptions(folder, clip_model="emoji")}).test_client()

    status, error = refused(client, {"text": "a"})
    assert (status, error["code"]) == (409, "encoder_mismatch")
    assert "ViT-X/99" in error["message"]
    assert "emoji" in error["message"]
    assert "--clip-model" in error["message"]
    embedding = json.dumps({"embedding_input": [1.0] * 192})
    assert client.post("/knn-service", data=embedding).status_code == 200


def test_unless_the_owner_says_otherwise(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Any
) -> None:
    folder = other_encoder(chain, tmp_path / "i")
    options = IndexOptions(folder, clip_model="emoji", allow_encoder_mismatch=True)
    client = serve_app({"i": options}).test_client()
    assert client.post("/knn-service", data='{"text": "a"}').status_code == 200


def test_another_dimension_is_refused_where_the_index_has_no_identity(
    serve_app: Callable[..., Flask], tmp_path: Any
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(20))
    client = serve_app({"i": IndexOptions(folder, clip_model="emoji")}).test_client()
    status, error = refused(client, {"text": "a"})
    assert status == 409
    assert "16-d" in error["message"]
    assert "192-d" in error["message"]


LIMITS = [
    ({"max_body_bytes": 100}, {"text": "x" * 200}, 413),
    ({"max_text_characters": 10}, {"text": "x" * 11}, 400),
    ({"max_results": 5}, {"text": "a", "num_images": 6}, 400),
    ({"max_results": 5}, {"text": "a", "num_images": 1, "num_result_ids": 6}, 400),
    ({"max_results": 5}, {"text": "a", "num_images": 6, "num_result_ids": 1}, 400),
    ({"max_picture_bytes": 40}, {"image": base64.b64encode(picture_bytes()).decode()}, 413),
    ({"max_picture_pixels": 15}, {"image": base64.b64encode(picture_bytes()).decode()}, 413),
    ({"max_url_bytes": 20}, {"image_url": "http://a.example/" + "x" * 20}, 413),
]


@pytest.mark.parametrize(("limit", "body", "expected"), LIMITS)
def test_a_limit_says_its_name_and_its_value(
    serve_app: Callable[..., Flask],
    chain: Chain,
    limit: dict[str, int],
    body: dict[str, Any],
    expected: int,
) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)}, limits=Limits(**limit))
    status, error = refused(app.test_client(), body)
    ((name, value),) = limit.items()
    assert status == expected
    assert f"{name} is {value}" in error["message"]


def test_so_does_that_of_metadata(serve_app: Callable[..., Flask], chain: Chain) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)}, limits=Limits(max_metadata_ids=2))
    status, error = refused(app.test_client(), {"ids": [1, 2, 3]}, path="/metadata")
    assert status == 413
    assert "max_metadata_ids is 2 (got: 3)" in error["message"]


def test_pictures_past_the_limit_are_left_out_and_that_is_said(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    limits = Limits(max_inline_pictures=2)
    client = serve_app({"emoji": IndexOptions(chain.index)}, limits=limits).test_client()
    answer = client.post("/knn-service", data='{"text": "a", "num_images": 4}')
    assert ["image" in item for item in answer.json] == [True, True, False, False]
    assert answer.headers["X-Limits-Hit"] == "max_inline_pictures"
    within = client.post("/knn-service", data='{"text": "a", "num_images": 2}')
    assert "X-Limits-Hit" not in within.headers


def test_an_unknown_path(client: FlaskClient) -> None:
    for path in ("/nowhere", "/js/nowhere.js", "/..%2f..%2fetc%2fpasswd", "/%00", "/js"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.json["code"] == "not_found"
        assert answer.json["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/knn-service"),
        ("GET", "/metadata"),
        ("PUT", "/knn-service"),
        ("DELETE", "/metadata"),
        ("POST", "/indices-list"),
        ("POST", "/config.json"),
        ("POST", "/"),
        ("PURGE", "/"),
    ],
)
def test_a_method_the_route_has_not(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == 405
    assert answer.json["code"] == "method_not_allowed"
    allowed = {"/knn-service": "POST", "/metadata": "POST"}.get(path, "GET")
    assert allowed in answer.headers["Allow"]


def test_an_unexpected_error_is_json_without_a_trace(
    serve_app: Callable[..., Flask],
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def burst(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    app = serve_app({"emoji": IndexOptions(chain.index)})
    monkeypatch.setattr(Services, "index", burst)
    with caplog.at_level(logging.ERROR):
        status, error = refused(app.test_client(), {"text": "a"})

    assert (status, error["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(error)
    assert "a secret of the inside" in caplog.text


def test_errors_are_counted_by_their_code(serve_app: Callable[..., Flask], chain: Chain) -> None:
    client = serve_app({"emoji": IndexOptions(chain.index)}).test_client()
    refused(client, {"text": 5})
    refused(client, {"text": 5})
    text = client.get("/metrics").text
    assert 'search_back_errors_total{code="invalid_field"} 2.0' in text


def test_a_weight_of_not_a_number(client: FlaskClient) -> None:
    status, _ = refused(client, '{"text": "a", "aesthetic_weight": NaN}')
    assert status == 400


def test_a_large_embedding_of_numpy_is_still_an_embedding(client: FlaskClient) -> None:
    embedding = np.full(192, 1e39).tolist()
    answer = client.post("/knn-service", data=json.dumps({"embedding_input": embedding}))
    assert answer.status_code == 200
