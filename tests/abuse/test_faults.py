"""What befalls files and processes while clients ask."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from search_back.config import IndexOptions
from search_back.errors import ConfigError, ModelUnavailable
from search_back.interfaces import Encoder
from search_back.server import create_app
from search_back.services import Services
from tests.abuse.conftest import PATIENCE_S, asking, processes
from tests.conftest import Chain, LiveServer, wait_for
from tests.folders import unit_rows, write_folder

WORDS = {"query": "cat", "index": "emoji", "k": 3}


def vector(index: str) -> dict[str, Any]:
    return {"query": [{"embedding": [1.0] * 16}], "index": index, "k": 3, "pictures": "none"}


def ask(server: LiveServer, body: Any) -> requests.Response:
    return requests.post(f"{server.url}/v1/search", json=body, timeout=PATIENCE_S)


def reload(server: LiveServer) -> requests.Response:
    return requests.post(f"{server.url}/admin/reload", timeout=2 * PATIENCE_S)


@pytest.mark.parametrize("kind", ["cut", "removed", "another"])
@pytest.mark.parametrize("name", ["image.index", "metadata"])
def test_a_file_that_goes_wrong_stops_its_index_only(
    serve_app: Callable[..., Flask], tmp_path: Path, kind: str, name: str
) -> None:
    """What was opened is served on, unless it was cut; a reload tells what is wrong."""
    folder = write_folder(tmp_path / "a", unit_rows(200))
    whole = shutil.copytree(folder, tmp_path / "whole")
    options = {"a": IndexOptions(folder)}
    app = serve_app({**options, "b": IndexOptions(write_folder(tmp_path / "b", unit_rows(9)))})
    client = app.test_client()
    target = folder / name if name != "metadata" else next((folder / "metadata").iterdir())
    if kind == "cut":
        os.truncate(target, 60)
    elif kind == "removed":
        target.unlink()
    else:
        fresh = target.with_name("fresh")
        fresh.write_bytes(b"not what its name says" * 100)
        fresh.replace(target)

    answer = client.post("/v1/search", json=vector("a"))
    assert answer.status_code in (200, 503), answer.text
    if kind == "cut" and name == "image.index":
        assert answer.status_code == 503
        assert "was cut while it was served" in answer.json["message"]
    assert client.post("/v1/search", json=vector("b")).status_code == 200

    again = client.post("/admin/reload")
    assert again.status_code == 503
    assert list(again.json["failed"]) == ["a"]
    assert again.json["reloaded"] == ["b"]
    assert client.get("/health").status_code == 200
    assert client.post("/v1/search", json=vector("b")).status_code == 200

    shutil.rmtree(folder)
    whole.rename(folder)
    assert client.post("/admin/reload").json == {"reloaded": ["a", "b"], "failed": {}}
    assert len(client.post("/v1/search", json=vector("a")).json["hits"]) == 3


def test_a_file_that_names_the_indices_is_broken_and_mended(
    two: tuple[LiveServer, Path],
) -> None:
    server, other = two
    paths = other.parent / "indices_paths.json"
    whole = paths.read_text()
    paths.write_text('{"emoji": ')
    answer = reload(server)
    assert answer.status_code == 503, answer.text
    assert "not valid JSON" in str(answer.json()["failed"])
    assert ask(server, vector("other")).status_code == 200
    paths.write_text(whole)
    assert reload(server).json() == {"reloaded": ["emoji", "other"], "failed": {}}


def test_fifty_reloads_under_load_fail_no_request(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    with asking(server.url, WORDS, clients=2) as words, asking(server.url, vector("other")) as rest:
        for turn in range(25):
            assert reload(server).status_code == 200, turn
            os.kill(server.process.pid, signal.SIGHUP)
    for asker in (*words, *rest):
        assert asker.broken == []
        assert set(asker.statuses) == {200}


def test_a_killed_process_takes_its_own_requests_only(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    with asking(server.url, WORDS, clients=4) as askers:
        for _ in range(2):
            before = processes(server)
            os.kill(before[0], signal.SIGKILL)
            wait_for(
                lambda gone=before[0]: len(p := processes(server)) == 2 and gone not in p,
                log=server.log,
            )
            for _ in range(20):
                assert requests.get(f"{server.url}/health", timeout=PATIENCE_S).status_code == 200
    for asker in askers:
        # At most the one under way, for each process that was killed.
        assert len(asker.broken) <= 2
        assert set(asker.statuses) == {200}


def test_a_graceful_stop_answers_what_it_took(two: tuple[LiveServer, Path]) -> None:
    server, _ = two
    with asking(server.url, WORDS, clients=4) as askers:
        wait_for(lambda: all(a.statuses for a in askers), log=server.log)
        assert server.stop(within_s=PATIENCE_S) == 0
    for asker in askers:
        assert set(asker.statuses) == {200}
        # A kept connection ends with an answer that says so; who comes then finds nobody.
        assert asker.told_to_go


def test_settings_that_cannot_be_read_change_nothing(services: Services) -> None:
    def reload() -> dict[str, str]:
        raise ConfigError("indices_paths.json is not valid JSON")

    client = create_app(services, reload=reload).test_client()
    answer = client.post("/admin/reload")
    assert answer.status_code == 503
    assert answer.json == {"reloaded": [], "failed": {"": "indices_paths.json is not valid JSON"}}


def test_without_its_encoder_an_index_answers_the_rest(
    serve_app: Callable[..., Flask], chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, **_: Any) -> Encoder:
        raise ModelUnavailable(f"encoder {name!r} cannot be loaded", remedy="give a local folder")

    monkeypatch.setattr("search_back.services.load_encoder", load)
    options = IndexOptions(chain.index, columns_to_return=("name",))
    client = serve_app({"emoji": options}).test_client()
    answer = client.post("/v1/search", json={"query": "cat"})
    assert answer.status_code == 503
    assert answer.json["code"] == "model_unavailable"
    assert len(client.post("/v1/search", json={"query": "#3", "k": 5}).json["hits"]) == 5
    row = client.post("/metadata", json={"ids": [3], "images": "none"}).json[0]
    assert row["metadata"]["name"] == chain.rows[3]["name"]
    embedding = chain.vectors("image")[7].tolist()
    body = {"query": [{"embedding": embedding}], "k": 1}
    assert client.post("/v1/search", json=body).json["hits"][0]["id"] == 7
    assert client.get("/indices/emoji/thumbnails/1").status_code == 200


def test_health_answers_while_files_are_gone(two: tuple[LiveServer, Path]) -> None:
    server, other = two
    shutil.rmtree(other)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert requests.get(f"{server.url}/health", timeout=PATIENCE_S).status_code == 200
    assert reload(server).status_code == 503
    assert ask(server, WORDS).status_code == 200
    # What is open can still be read: its files are gone from their folder only.
    assert ask(server, vector("other")).status_code == 200
