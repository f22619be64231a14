"""A model hub is asked for what is needed, and is not waited for where it is absent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from search_back.encoders import parse_name
from search_back.encoders.sources import hub, load_source
from search_back.errors import ModelUnavailable

pytestmark = pytest.mark.usefixtures("transformers")


def test_an_absent_hub_is_told_in_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_hub_has_an_address", lambda endpoint: False)
    before = constants.HF_HUB_OFFLINE
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="hf:FOLDER"):
        load_source(parse_name("hf:organisation/model"))
    assert time.monotonic() - started < 10
    assert before == constants.HF_HUB_OFFLINE


def test_the_setting_of_the_hubs_client_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_hub_has_an_address", lambda endpoint: False)
    first, second = hub.absent_hub_does_not_wait(), hub.absent_hub_does_not_wait()
    first.__enter__()
    second.__enter__()
    assert constants.HF_HUB_OFFLINE
    first.__exit__(None, None, None)
    assert constants.HF_HUB_OFFLINE
    second.__exit__(None, None, None)
    assert not constants.HF_HUB_OFFLINE


def test_a_hub_is_asked_for_one_form_of_the_weights(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def snapshot(name: str, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        assert name == "organisation/model"
        assert "onnx/*" in ignore_patterns
        asked.extend(allow_patterns)
        return str(clip)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    source = load_source(parse_name("hf:organisation/model"))
    assert source.name == "hf:organisation/model"
    assert "model*.safetensors" in asked
    assert not [pattern for pattern in asked if pattern.startswith("pytorch_model")]


def test_pickles_are_asked_for_where_there_is_nothing_else(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    (clip / "model.safetensors").unlink()

    def snapshot(name: str, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.extend(allow_patterns)
        return str(clip)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(ModelUnavailable, match="holds no weights"):
        load_source(parse_name("hf:organisation/model"))
    assert "pytorch_model*.bin" in asked
