"""Captions embedded by another model than the pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from search_back.cli import main
from search_back.encoders import load_encoder
from search_back.errors import EncoderMismatch
from search_back.inference import InferenceSettings, run
from search_back.types import EncoderIdentity
from tests import tiny_models as tiny
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import Result, read_result, write_files

COLOURS = ["red", "lime", "blue"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    files: dict[str, bytes | str] = {}
    for i, colour in enumerate(COLOURS):
        files[f"{i}.png"] = picture_bytes(colour)
        files[f"{i}.txt"] = colour
    return write_files(tmp_path / "pictures", files)


def execute(pictures: Path, out: Path, text_encoder: FakeEncoder | None, **changes: Any) -> Result:
    settings = InferenceSettings(input_dataset=(str(pictures),), output_folder=out, **changes)
    run(settings, FakeEncoder(), text_encoder=text_encoder)
    return read_result(out)


def test_captions_are_its_own_and_both_are_named(pictures: Path, tmp_path: Path) -> None:
    other = FakeEncoder(seed=7)
    result = execute(pictures, tmp_path / "out", other)
    assert result.image is not None and result.text is not None
    np.testing.assert_allclose(result.image, FakeEncoder().encode_texts(COLOURS), atol=1e-3)
    np.testing.assert_allclose(result.text, other.encode_texts(COLOURS), atol=1e-3)
    manifest = result.manifest
    assert EncoderIdentity.from_json(manifest["encoder"]) == FakeEncoder().identity
    assert EncoderIdentity.from_json(manifest["text_encoder"]) == other.identity


@pytest.mark.parametrize("changes", [{}, {"enable_text": False}])
def test_one_encoder_is_named_once(pictures: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    other = FakeEncoder(seed=7) if changes else None
    manifest = execute(pictures, tmp_path / "out", other, **changes).manifest
    assert "text_encoder" not in manifest


def test_vectors_of_another_length_are_refused_before_the_work(
    pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(EncoderMismatch, match=r"8-d vectors of pictures.*9-d ones of captions"):
        execute(pictures, tmp_path / "out", FakeEncoder(dimension=9))
    assert not (tmp_path / "out").exists()


def test_the_command_takes_it_by_name(pictures: Path, tmp_path: Path) -> None:
    model = tiny.mclip(tmp_path / "mclip", dimension=192)
    done = CliRunner().invoke(
        main,
        [
            *("inference", "--input-dataset", str(pictures), "--clip-model", "emoji"),
            *("--output-folder", str(tmp_path / "out"), "--use-mclip", "True"),
            *("--mclip-model", str(model), "--json"),
        ],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    result = read_result(tmp_path / "out")
    expected = load_encoder(f"hf:{model}").encode_texts(COLOURS)
    assert result.text is not None
    np.testing.assert_allclose(result.text, expected, atol=1e-3)
    manifest = json.loads((tmp_path / "out" / "embeddings.json").read_text())
    assert manifest["text_encoder"]["name"] == f"hf:{model}"
    assert manifest["encoder"]["name"] == "emoji"
