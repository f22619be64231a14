"""The parts a server is put together from."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from search_back.config import IndexOptions, ServerSettings
from search_back.errors import ConfigError, ModelUnavailable, UnknownIndex
from search_back.interfaces import Encoder
from search_back.services import DEFAULT_MODEL, EncoderPool, Services
from tests.conftest import Chain
from tests.fakes import FakeEncoder
from tests.folders import unit_rows, write_folder


def test_an_encoder_is_loaded_once_for_all_threads() -> None:
    loads: list[str] = []
    gate = threading.Barrier(8)

    def load(name: str) -> Encoder:
        loads.append(name)
        return FakeEncoder()

    pool = EncoderPool(load)

    def get(number: int) -> Encoder:
        gate.wait()
        return pool.get("ab"[number % 2])

    with ThreadPoolExecutor(8) as threads:
        encoders = list(threads.map(get, range(8)))
    assert sorted(loads) == ["a", "b"]
    assert len(set(map(id, encoders))) == 2


def test_a_slow_encoder_does_not_hold_up_another() -> None:
    released, began = threading.Event(), threading.Event()

    def load(name: str) -> Encoder:
        if name == "slow":
            began.set()
            assert released.wait(20)
        return FakeEncoder()

    pool = EncoderPool(load)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pool.get, "slow")
        assert began.wait(20)
        assert pool.get("quick").identity.name == "fake"
        assert not slow.done()
        released.set()
        slow.result(20)


def test_one_that_fails_is_not_tried_at_every_query() -> None:
    loads: list[str] = []

    def load(name: str) -> Encoder:
        loads.append(name)
        raise ConfigError("no weights", value=name)

    patient, eager = EncoderPool(load, retry_s=1000), EncoderPool(load, retry_s=0)
    for pool in (patient, eager):
        for _ in range(3):
            with pytest.raises(ModelUnavailable, match=r"'x' cannot be loaded.*no weights"):
                pool.get("x")
    assert len(loads) == 1 + 3


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


def test_an_index_by_its_name(services: Services) -> None:
    assert services.index(None) is services.index("") is services.index("emoji")
    with pytest.raises(UnknownIndex, match="emoji"):
        services.index("other")


def test_nothing_to_serve() -> None:
    with pytest.raises(ConfigError, match="no index"):
        Services(ServerSettings(indices={}))
