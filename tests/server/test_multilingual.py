"""``use_mclip``: the words of a query read by a second, multilingual model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from search_back.config import DEFAULT_TEXT_MODEL, IndexOptions, ServerSettings
from search_back.encoders import load_encoder
from search_back.encoders.sources import hub
from search_back.interfaces import Encoder
from search_back.services import Services
from search_back.services.multilingual import text_model_name
from tests import tiny_models as tiny
from tests.conftest import Chain
from tests.folders import ids_of

TEXT = "猫と犬が遊ぶ"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, emoji: Encoder) -> Path:
    """A text model that fits the bundled one."""
    return tiny.mclip(tmp_path_factory.mktemp("mclip"), dimension=emoji.identity.dimension)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_hub_has_an_address", lambda endpoint: False)


def post(app: Flask, **fields: Any) -> Any:
    return app.test_client().post("/knn-service", data=json.dumps({"num_images": 9, **fields}))


@pytest.mark.parametrize("prefix", ["hf:", ""])
def test_the_words_are_read_by_the_second_model(
    serve_app: Callable[..., Flask], chain: Chain, model: Path, prefix: str
) -> None:
    options = IndexOptions(chain.index, enable_mclip_option=True, mclip_model=f"{prefix}{model}")
    app = serve_app({"i": options})
    answer = post(app, text=TEXT, use_mclip=True)
    assert answer.status_code == 200, answer.text
    assert "X-Ignored-Options" not in answer.headers
    encoder = load_encoder(f"hf:{model}")
    assert ids_of(answer.json) == chain.ranking(encoder.encode_texts([TEXT])[0])[:9]
    first, second = (
        post(app, text=TEXT),
        post(serve_app({"i": IndexOptions(chain.index)}), text=TEXT),
    )
    assert first.json == second.json != answer.json


def test_pictures_and_items_are_not_read_by_it(
    serve_app: Callable[..., Flask], chain: Chain, model: Path
) -> None:
    options = IndexOptions(chain.index, enable_mclip_option=True, mclip_model=str(model))
    app = serve_app({"i": options})
    plain, wished = post(app, id=3), post(app, id=3, use_mclip=True)
    assert plain.json == wished.json
    assert "X-Ignored-Options" not in wished.headers


@pytest.mark.usefixtures("no_hub")
def test_a_model_that_cannot_be_had_is_ignored_and_said_so(
    serve_app: Callable[..., Flask], chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    app = serve_app({"i": IndexOptions(chain.index, enable_mclip_option=True)})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            answer = post(app, text="a cat", use_mclip=True, use_safety_model=True)
            assert answer.status_code == 200
            assert answer.headers["X-Ignored-Options"] == "use_mclip, use_safety_model"
            assert answer.json == post(app, text="a cat").json
    assert caplog.text.count("use_mclip is ignored") == 1
    assert DEFAULT_TEXT_MODEL in caplog.text


def test_without_the_option_the_flag_is_ignored(
    serve_app: Callable[..., Flask], chain: Chain, model: Path
) -> None:
    app = serve_app({"i": IndexOptions(chain.index, mclip_model=str(model))})
    answer = post(app, text="a cat", use_mclip=True)
    assert answer.headers["X-Ignored-Options"] == "use_mclip"


def test_a_model_that_does_not_fit_the_index_is_refused_with_both_names(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Path
) -> None:
    other = tiny.sentence_transformer(tmp_path / "other")
    options = IndexOptions(chain.index, enable_mclip_option=True, mclip_model=str(other))
    answer = post(serve_app({"i": options}), text="a cat", use_mclip=True)
    assert answer.status_code == 409
    assert answer.json["code"] == "encoder_mismatch"
    assert all(name in answer.json["message"] for name in ("'i' holds 192-d", str(other), "24-d"))


@pytest.mark.usefixtures("no_hub")
def test_warming_up_loads_it_or_says_why_not(
    chain: Chain, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    indices = {
        "there": IndexOptions(chain.index, enable_mclip_option=True, mclip_model=str(model)),
        "absent": IndexOptions(chain.index, enable_mclip_option=True),
    }
    services = Services(ServerSettings(indices=indices))
    with caplog.at_level(logging.WARNING):
        services.warm_up()
    assert "'absent': use_mclip is ignored" in caplog.text
    assert "'there'" not in caplog.text
    assert services.encoders.loaded == 2
    services.close()


def test_names_without_a_known_form_are_a_hubs() -> None:
    assert text_model_name(None) == f"hf:{DEFAULT_TEXT_MODEL}"
    assert text_model_name("M-CLIP/XLM-Roberta-Large-Vit-B-32").startswith("hf:M-CLIP/")
    for known in ("hf:a/b", "emoji", "ViT-B/32", "open_clip:xlm-roberta-base-ViT-B-32/tag"):
        assert text_model_name(known) == known


def test_words_of_several_languages_differ(model: Path) -> None:
    rows = load_encoder(f"hf:{model}").encode_texts(tiny.TEXTS[:6])
    assert np.triu(rows @ rows.T, 1).max() < 0.999
