"""The parts a server is put together from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from search_back.config import IndexOptions, ServerSettings
from search_back.errors import ConfigError, UnknownIndex
from search_back.services import DEFAULT_MODEL, Services
from search_back.services.snapshot import FolderSnapshot, open_snapshot
from tests.conftest import Chain
from tests.folders import unit_rows, write_folder


def test_a_model_that_cannot_be_had_is_503_and_the_rest_is_answered(
    serve_app: Callable[..., Flask], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(9))
    gone = f"open_clip:ViT-B-32/{tmp_path}/gone.pt"
    client = serve_app({"i": IndexOptions(folder, clip_model=gone)}).test_client()
    answer = client.post("/knn-service", data='{"text": "a"}')
    assert answer.status_code == 503
    assert answer.json["code"] == "model_unavailable"
    assert gone in answer.json["message"]
    assert client.post("/knn-service", data='{"id": 3}').json[0]["id"] == 3


def test_the_encoder_is_the_one_that_made_the_index(chain: Chain, tmp_path: Path) -> None:
    plain = write_folder(tmp_path / "i", unit_rows(9))
    indices = {
        "recorded": IndexOptions(chain.index),
        "told": IndexOptions(chain.index, clip_model="ViT-L/14"),
        "neither": IndexOptions(plain),
    }
    services = Services(ServerSettings(indices=indices))
    models = {name: index.model for name, index in services.indices.items()}
    services.close()
    assert models == {"recorded": "emoji", "told": "ViT-L/14", "neither": DEFAULT_MODEL}


def test_warming_up_loads_what_can_be_loaded_and_says_what_cannot(
    chain: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = write_folder(tmp_path / "i", unit_rows(9))
    services = Services(
        ServerSettings(
            indices={
                "broken": IndexOptions(plain, clip_model="emoji"),
                "good": IndexOptions(chain.index),
            }
        )
    )
    with caplog.at_level(logging.WARNING):
        services.warm_up()
    services.close()
    assert "'broken' cannot answer words or pictures" in caplog.text
    assert "'good'" not in caplog.text


@pytest.mark.parametrize("named", ["emoji", None])
def test_the_encoder_is_read_before_the_index_is_open(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    services = Services(ServerSettings(indices={"i": IndexOptions(chain.index, clip_model=named)}))
    loaded = []

    def watched(name: str, options: IndexOptions) -> FolderSnapshot:
        loaded.append(services.encoders.loaded)
        return open_snapshot(name, options)

    monkeypatch.setattr("search_back.services.index.open_snapshot", watched)
    services.warm_up()
    services.close()
    assert loaded == [1]


def test_an_index_by_its_name(services: Services) -> None:
    assert services.index(None) is services.index("") is services.index("emoji")
    with pytest.raises(UnknownIndex, match="emoji"):
        services.index("other")


def test_nothing_to_serve() -> None:
    with pytest.raises(ConfigError, match="no index"):
        Services(ServerSettings(indices={}))
