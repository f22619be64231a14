"""The bundled model's files agree with each other, with open_clip, and with their limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file

from search_back.encoders.export import LEAST_COSINE as LEAST
from search_back.encoders.runtimes import tower_opener
from search_back.encoders.sources.open_clip_import import open_clip
from search_back.files import sha256_file
from search_back.models.recipe.captions import clean
from search_back.models.recipe.evaluate import EVALUATION_FILE, Model
from search_back.models.recipe.pictures import Sample
from search_back.models.recipe.publish import VOCABULARY_FILE

MIB = 1 << 20
LEAST_COSINE = LEAST["fp32"]
START, END = 6512, 6513


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def towers(folder: Path, described: dict[str, Any]) -> dict[str, Any]:
    opener = tower_opener("onnx")
    return {kind: opener(folder / f, threads=1) for kind, f in described["towers"].items()}


def load_local(folder: Path) -> tuple[Any, Any]:
    clip, _, preprocess = open_clip().create_model_and_transforms(f"local-dir:{folder}")
    return clip.eval(), preprocess


def tokenise(folder: Path, texts: list[str]) -> Any:
    """Token rows by stock open_clip."""
    vocabulary = str((folder / VOCABULARY_FILE).resolve())
    tokenizer = open_clip().get_tokenizer(f"local-dir:{folder}", bpe_path=vocabulary)
    return tokenizer(texts).numpy()


def test_importing_the_package_loads_no_runtime() -> None:
    code = (
        "import sys, search_back.models as m; assert m.model_folder().is_dir();"
        "assert m.pictures_tar().is_file();"
        "assert not {'torch', 'onnxruntime', 'open_clip', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_encoder_json_describes_the_files(folder: Path, described: dict[str, Any]) -> None:
    assert described["name"] == folder.name
    assert described["weights_sha256"] == sha256_file(folder / "open_clip_model.safetensors")
    assert all((folder / file).is_file() for file in described["towers"].values())
    assert (folder / described["tokenizer"]["vocabulary"]).is_file()
    assert described["checks"]["min_cosine_image"] >= LEAST_COSINE
    assert described["checks"]["min_cosine_text"] >= LEAST_COSINE


def test_figures_and_card_are_about_these_weights(folder: Path, described: dict[str, Any]) -> None:
    figures = (folder / EVALUATION_FILE).read_text(encoding="utf-8")
    assert described["weights_sha256"] in figures
    assert described["weights_sha256"][:12] in (folder / "README.md").read_text(encoding="utf-8")


def test_files_stay_small(folder: Path) -> None:
    assert (folder / "open_clip_model.safetensors").stat().st_size <= 6_000_000
    towers = sum((folder / f"{kind}.onnx").stat().st_size for kind in ("image", "text"))
    assert towers <= 6_000_000


def test_preprocessing_is_that_of_open_clip(folder: Path, described: dict[str, Any]) -> None:
    clip, _ = load_local(folder)
    written = described["preprocessing"]
    config = clip.visual.preprocess_cfg
    assert written["image_size"] == np.broadcast_to(config["size"], 2).tolist()
    assert written["resize_mode"] == config["resize_mode"]
    assert written["interpolation"] == config["interpolation"]
    assert written["mean"] == pytest.approx(config["mean"])
    assert written["std"] == pytest.approx(config["std"])
    assert described["logit_scale"] == pytest.approx(clip.logit_scale.exp().item(), rel=1e-6)


def test_towers_agree_with_open_clip(
    folder: Path, towers: dict[str, Any], bundled: list[Sample]
) -> None:
    clip, preprocess = load_local(folder)
    chosen = bundled[::97]
    pixels = torch.stack([preprocess(item.picture) for item in chosen])
    ids = tokenise(folder, [item.caption for item in chosen])
    with torch.no_grad():
        image = clip.encode_image(pixels).numpy()
        text = clip.encode_text(torch.from_numpy(ids)).numpy()
    assert (unit(image) * unit(towers["image"](pixels.numpy()))).sum(1).min() >= LEAST_COSINE
    assert (unit(text) * unit(towers["text"](ids))).sum(1).min() >= LEAST_COSINE
    # Not trivially: different pictures have different vectors.
    assert (unit(image) @ unit(image).T).mean() < 0.9


@pytest.mark.parametrize("length", range(3, 33))
def test_text_stops_where_the_text_stops(towers: dict[str, Any], length: int) -> None:
    rng = np.random.default_rng(length)
    ids = np.zeros((2, 32), np.int64)
    ids[:, 0], ids[:, length - 1] = START, END
    ids[:, 1 : length - 1] = rng.integers(1, START, (2, length - 2))
    short, whole = towers["text"](ids[:, :length]), towers["text"](ids)
    np.testing.assert_allclose(unit(short), unit(whole), atol=1e-5)


def test_later_positions_do_not_matter_but_earlier_do(towers: dict[str, Any]) -> None:
    ids = np.zeros((3, 32), np.int64)
    ids[:, :5] = [START, 10, 20, 30, END]
    ids[1, 5:] = 40
    ids[2, 1] = 11
    rows = unit(towers["text"](ids))
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    assert np.abs(rows[0] - rows[2]).max() > 1e-3


def test_towers_hold_the_published_weights(folder: Path) -> None:
    published = load_file(folder / "open_clip_model.safetensors")
    floats = {name: values for name, values in published.items() if values.dtype.kind == "f"}
    assert {values.dtype for values in floats.values()} == {np.dtype(np.float16)}
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for kind in ("image", "text")
        for tensor in onnx.load(folder / f"{kind}.onnx").graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT16
    }
    contents = {(values.shape, values.tobytes()) for values in stored.values()}
    kernels = [values for values in floats.values() if values.ndim == 4]
    assert kernels
    assert all((values.shape, values.tobytes()) in contents for values in kernels)
    assert sum(values.size for values in stored.values()) >= 0.95 * sum(
        values.size for values in floats.values()
    )


@pytest.mark.parametrize(
    ("kind", "source", "result"),
    [("image", "pixel_values", "image_embeds"), ("text", "input_ids", "text_embeds")],
)
def test_towers_have_the_agreed_names_and_dynamic_shapes(
    folder: Path, described: dict[str, Any], kind: str, source: str, result: str
) -> None:
    graph = onnx.load(folder / f"{kind}.onnx").graph
    assert [item.name for item in graph.input] == [source]
    assert [item.name for item in graph.output] == [result]
    shape = [axis.dim_param or axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim]
    expected = ["batch", 3, 64, 64] if kind == "image" else ["batch", "length"]
    assert shape == expected
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == described["dimension"]


def test_names_find_their_pictures(model: Model, bundled: list[Sample]) -> None:
    chosen = [item for item in bundled if item.described["kind"] == "emoji"][::4]
    scores = (
        model.texts([clean(item.caption) for item in chosen])
        @ model.images([item.picture for item in chosen]).T
    )
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert (ranks < 5).mean() >= 0.95
