"""What an operator asks a server: is it alive, is it ready, what does it serve; and tells it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import search_back
from search_back.config import IndexOptions, ServerSettings
from search_back.errors import BadFolder
from search_back.server.app import create_app
from search_back.server.listening import ARRIVED
from search_back.services import Services
from tests.conftest import Chain
from tests.folders import unit_rows, write_folder

ANYTHING = json.dumps({"embedding_input": [1.0] * 16})


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[Services, FlaskClient]]]:
    opened: list[Services] = []

    def make(indices: dict[str, IndexOptions], **rest: Any) -> tuple[Services, FlaskClient]:
        services = Services(ServerSettings(indices=indices), **rest)
        opened.append(services)
        services.open()
        return services, create_app(services).test_client()

    yield make
    for services in opened:
        services.close()


def test_alive(client: FlaskClient) -> None:
    assert client.get("/health").json == {"status": "alive", "version": search_back.__version__}


def test_one_that_fails_does_not_stop_the_rest(
    serve: Callable[..., tuple[Services, FlaskClient]], tmp_path: Path
) -> None:
    good = write_folder(tmp_path / "good", unit_rows(9))
    indices = {"good": IndexOptions(good), "bad": IndexOptions(tmp_path / "none")}
    services, client = serve(indices)
    services.warm_up()
    ready = client.get("/ready")
    assert ready.status_code == 503
    assert ready.json["indices"]["bad"]["status"] == "failed"
    assert "does not exist" in ready.json["indices"]["bad"]["problem"]
    # No hub here gives it an encoder: it still answers by embedding.
    assert ready.json["indices"]["good"]["status"] == "limited"
    assert len(client.post("/knn-service", data=ANYTHING).json) == 9
    told = client.post("/knn-service", data='{"text": "cat", "indice_name": "good"}')
    assert (told.status_code, told.json["code"]) == (503, "model_unavailable")
    told = client.post("/v1/search", data='{"query": "#1", "index": "bad"}')
    assert (told.status_code, told.json["code"]) == (503, "index_unavailable")
    assert client.get("/indices/bad").json["status"] == "unavailable"
    assert client.get("/indices-list").json == ["good", "bad"]

    write_folder(tmp_path / "none", unit_rows(4))
    reloaded = client.post("/admin/reload")
    assert reloaded.json == {"reloaded": ["good", "bad"], "failed": {}}
    assert len(client.post("/v1/search", data='{"query": "#1", "index": "bad"}').json["hits"]) == 4


def test_where_none_can_be_opened_the_first_reason_is_raised(tmp_path: Path) -> None:
    services = Services(ServerSettings(indices={"a": IndexOptions(tmp_path / "none")}))
    with pytest.raises(BadFolder, match="does not exist"):
        services.open()
    services.close()


def test_ready_once_it_is_warm(chain: Chain, serve: Callable[..., Any]) -> None:
    services, client = serve({"emoji": IndexOptions(chain.index)})
    assert client.get("/ready").status_code == 503
    services.warm_up()
    assert client.get("/ready").json == {
        "ready": True,
        "warm": True,
        "indices": {"emoji": {"status": "ready", "problem": None}},
    }


def test_an_index_is_described(client: FlaskClient, chain: Chain) -> None:
    (listed,) = client.get("/v1/indices").json
    told = client.get("/indices/emoji").json
    assert told == listed == client.get("/v1/indices/emoji").json
    assert told["size"] == len(chain.rows)
    assert told["encoder"]["name"] == "emoji"
    image = told["modalities"]["image"]
    assert (image["size"], image["dimension"]) == (len(chain.rows), 192)
    assert image["measured"]["recall_at_10"]["image"] == 1.0
    columns = {column["name"]: column for column in told["columns"]}
    assert "string" in columns["caption"]["type"]
    assert columns["caption"]["returned"]
    assert told["has_pictures"]
    assert client.get("/indices/other").status_code == 404


def test_one_that_waits_for_its_first_query(serve: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(5))
    first = write_folder(tmp_path / "first", unit_rows(6))
    services, client = serve(
        {"first": IndexOptions(first), "i": IndexOptions(folder, open_on_first_query=True)}
    )
    services.warm_up()
    assert client.get("/ready").json["indices"]["i"]["status"] == "unopened"
    body = {"query": "#0", "index": "i"}
    assert len(client.post("/v1/search", data=json.dumps(body)).json["hits"]) == 5
    assert client.get("/ready").json["indices"]["i"]["status"] != "unopened"


def test_reloading_takes_up_new_names_and_drops_old_ones(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    one = IndexOptions(write_folder(tmp_path / "one", unit_rows(3)))
    two = IndexOptions(write_folder(tmp_path / "two", unit_rows(4)))
    wanted = {"one": one}
    _, client = serve(dict(wanted), read_indices=lambda: wanted)
    wanted["two"] = two
    assert client.post("/admin/reload").json["reloaded"] == ["one", "two"]
    assert client.get("/indices/two").json["size"] == 4
    del wanted["one"]
    assert client.post("/admin/reload").json["reloaded"] == ["two"]
    assert client.get("/indices-list").json == ["two"]
    assert client.get("/indices/one").status_code == 404


def test_what_cannot_be_reloaded_goes_on_as_it_was(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(3))
    _, client = serve({"i": IndexOptions(folder)})
    (folder / "image.index").write_bytes(b"nothing of an index")
    told = client.post("/admin/reload")
    assert told.status_code == 503
    assert told.json["reloaded"] == []
    assert "image.index" in told.json["failed"]["i"]


def test_a_file_cut_under_a_server(serve_app: Callable[..., Flask], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(50))
    other = write_folder(tmp_path / "j", unit_rows(50))
    mapped = {"enable_faiss_memory_mapping": True}
    client = serve_app(
        {"i": IndexOptions(folder, **mapped), "j": IndexOptions(other, **mapped)}
    ).test_client()
    body = {"embedding_input": [1.0] * 16, "indice_name": "i"}
    assert client.post("/knn-service", data=json.dumps(body)).status_code == 200
    with open(folder / "image.index", "r+b") as file:
        file.truncate(100)
    told = client.post("/knn-service", data=json.dumps(body))
    assert (told.status_code, told.json["code"]) == (503, "corrupt_file")
    assert "image.index" in told.json["message"]
    assert client.get("/ready").json["indices"]["i"]["status"] == "failed"
    body["indice_name"] = "j"
    assert client.post("/knn-service", data=json.dumps(body)).status_code == 200


def test_every_answer_has_the_name_of_its_request(client: FlaskClient) -> None:
    given = client.get("/health", headers={"X-Request-Id": "abc-1"})
    assert given.headers["X-Request-Id"] == "abc-1"
    odd = client.get("/health", headers={"X-Request-Id": "a b<script>"}).headers["X-Request-Id"]
    assert len(odd) == 32
    refusal = client.post("/v1/search", data="nonsense")
    assert len(refusal.headers["X-Request-Id"]) == 32


def test_a_request_is_given_up_when_its_time_is_over(client: FlaskClient) -> None:
    late = {"environ_overrides": {ARRIVED: time.monotonic() - 5}}
    told = client.get("/indices-list", headers={"X-Request-Timeout": "4"}, **late)
    assert (told.status_code, told.json["code"]) == (504, "deadline_exceeded")
    in_time = client.get("/indices-list", headers={"X-Request-Timeout": "40"}, **late)
    assert in_time.status_code == 200


def test_what_waits_for_another_server_is_given_up_in_time(client: FlaskClient) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        told = client.post(
            "/v1/search", data=json.dumps({"query": url}), headers={"X-Request-Timeout": "0.3"}
        )
    assert (told.status_code, told.json["code"]) == (504, "deadline_exceeded")
