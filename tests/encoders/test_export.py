"""Exporting towers: of every kind of model, in every precision, checked against torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from search_back.encoders import export
from search_back.encoders.description import EncoderDescription
from search_back.encoders.export import Exporter, Samples
from search_back.encoders.export import onnx as export_onnx
from search_back.encoders.export.check import Inputs
from search_back.encoders.export.graph import products
from search_back.encoders.export.int8 import (
    fold_quick_gelu,
    harm,
    quantise,
    quantise_weights,
)
from search_back.encoders.export.samples import bundled_samples, folder_samples
from search_back.encoders.runtimes import tower_opener
from search_back.encoders.sources.open_clip_import import open_clip
from search_back.errors import ConfigError, ModelUnavailable, NothingToDo
from search_back.vectors import normalise
from tests.encoders.tiny import CONTEXT, pictures, source_of, tiny, token_rows
from tests.fakes import picture_bytes

TEXTS = ["a", "a dog", "a dog on the beach", "far more words than the context can ever hold " * 2]
SAMPLES = Samples(pictures(4), TEXTS)
KINDS: dict[str, dict[str, Any]] = {
    "clip": {},
    "texts read whole": {"kind": "CustomTextCLIP", "no_causal_mask": True},
    "mean of the patches": {"vision": {"pool_type": "avg"}},
    "convolutions": {"vision": {"layers": [1, 1, 1, 1], "patch_size": None}},
}


def run(folder: Path, tower: str, inputs: Any) -> Any:
    about = EncoderDescription.read(folder)
    opened = tower_opener(about.runtime)(folder / about.towers[tower], threads=1)  # type: ignore[index]
    return normalise(opened(inputs))


@pytest.mark.parametrize("model", KINDS.values(), ids=KINDS)
def test_an_export_gives_torchs_vectors(tmp_path: Path, model: dict[str, Any]) -> None:
    clip = tiny(**model)
    about = Exporter(source_of(clip), samples=SAMPLES).write(tmp_path)
    pixels = np.random.default_rng(2).normal(size=(5, 3, 32, 32)).astype(np.float32)
    ids = token_rows(3, 8, CONTEXT)
    with torch.no_grad():
        image = normalise(clip.encode_image(torch.from_numpy(pixels)).numpy())
        text = normalise(clip.encode_text(torch.from_numpy(ids)).numpy())
    np.testing.assert_allclose(run(tmp_path, "image", pixels), image, atol=1e-5)
    np.testing.assert_allclose(run(tmp_path, "text", ids), text, atol=1e-5)
    if about.text_positions == "to_end":
        for i, length in enumerate((3, 8, CONTEXT)):
            alone = run(tmp_path, "text", ids[i : i + 1, :length])
            np.testing.assert_allclose(alone[0], text[i], atol=1e-5)
    assert min(about.checks["min_cosine_image"], about.checks["min_cosine_text"]) > 0.99999
    assert EncoderDescription.read(tmp_path) == about


@pytest.fixture(scope="module")
def exporter() -> Exporter:
    """Traces once for all who ask."""
    return Exporter(source_of(tiny()), samples=SAMPLES)


@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.999), ("int8", 0.99)])
def test_lower_precisions_stay_close(
    exporter: Exporter, tmp_path: Path, precision: Any, least: float
) -> None:
    about = exporter.write(tmp_path, precision=precision)
    assert about.precision == precision
    assert least <= about.checks["min_cosine_text"] < 1.0
    assert least <= about.checks["min_cosine_image"] < 1.0


def test_int8_leaves_in_fp32_what_hurts_most(exporter: Exporter, tmp_path: Path) -> None:
    plain = exporter.write(tmp_path / "a", precision="int8")
    goal = 1 - (1 - plain.checks["min_cosine_text"]) / 3
    close = exporter.write(tmp_path / "b", precision="int8", least_cosine=goal)
    assert plain.checks["text_products_in_fp32"] == 0
    assert close.checks["min_cosine_text"] >= goal > plain.checks["min_cosine_text"]
    assert 0 < close.checks["text_products_in_fp32"] < 13


def test_a_tower_that_differs_from_torch_is_refused(tmp_path: Path) -> None:
    other = tiny()
    with torch.no_grad():
        other.text_projection += 0.05
    wrong = replace(source_of(tiny()), image=None, text=source_of(other).text)
    with pytest.raises(ModelUnavailable, match="text tower differs"):
        Exporter(wrong, samples=SAMPLES).write(tmp_path)


def test_bf16_is_not_for_onnx(exporter: Exporter, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bf16"):
        exporter.write(tmp_path, precision="bf16")


def test_a_model_of_texts_alone_has_no_image_tower(tmp_path: Path) -> None:
    texts_only = replace(source_of(tiny()), image=None, whole_image=None)
    about = Exporter(texts_only, samples=SAMPLES).write(tmp_path)
    assert set(about.towers) == {"text"}
    assert not (tmp_path / "image.onnx").exists()


def test_large_weights_lie_in_a_file_of_their_own(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_onnx, "SINGLE_FILE", 1000)
    monkeypatch.setattr(export_onnx, "_SMALLEST_APART", 100)
    first = exporter.write(tmp_path)
    size = (tmp_path / "text.onnx.data").stat().st_size
    assert first.checks["min_cosine_text"] > 0.99999
    exporter.write(tmp_path)
    assert (tmp_path / "text.onnx.data").stat().st_size == size


def test_weights_are_quantised_column_by_column() -> None:
    weights = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    weights *= np.array([1, 100, 0], np.float32)
    values, scales = quantise_weights(weights)
    assert np.abs(values * scales - weights).max(axis=0) == pytest.approx(
        [0, 0, 0], abs=float(scales.max()) / 2
    )
    assert np.abs(values[:, 0] * scales[0] - weights[:, 0]).max() <= scales[0] / 2 + 1e-7
    assert np.abs(values).max() == 127


def test_a_processor_without_vnni_gets_smaller_weights(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs of full 8-bit products overflow its 16-bit sums."""
    monkeypatch.setattr(export, "adds_bytes_exactly", lambda: False)
    about = exporter.write(tmp_path, precision="int8")
    assert about.checks["weight_bits"] == 7
    model = onnx.load(tmp_path / "text.onnx")
    bytes_ = [numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == 3]
    assert len(bytes_) == 13
    assert max(np.abs(values).max() for values in bytes_) == 63


def test_products_are_found_with_their_biases(exporter: Exporter, tmp_path: Path) -> None:
    exporter.write(tmp_path)
    model = onnx.load(tmp_path / "text.onnx")
    found = list(products(model))
    # Two layers of six products, and the projection. Attention has the biases of its three.
    assert len(found) == 13
    assert sum(product.bias is not None for product in found) == 6
    names = [product.name for product in found]
    done = quantise(model, keep=names[:2])
    assert sorted(done) == sorted(names[2:])
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("DynamicQuantizeMatMul") == 11
    assert kinds.count("MatMul") == 2


def test_the_factor_of_quick_gelu_moves_into_the_weights(tmp_path: Path) -> None:
    clip = tiny()
    for block in clip.transformer.resblocks:
        block.mlp.gelu = open_clip().transformer.QuickGELU()
    exporter = Exporter(replace(source_of(clip), image=None), samples=SAMPLES)
    exporter.write(tmp_path)
    model = onnx.load(tmp_path / "text.onnx")
    assert fold_quick_gelu(model) == 2
    onnx.save(model, tmp_path / "folded.onnx")
    ids = token_rows(3, 8, CONTEXT)
    folded = normalise(tower_opener("onnx")(tmp_path / "folded.onnx")(ids))
    np.testing.assert_allclose(folded, run(tmp_path, "text", ids), atol=1e-6)
    assert fold_quick_gelu(model) == 0


def test_harm_tells_outliers(tmp_path: Path) -> None:
    """One column of inputs far larger than the rest leaves few steps for the others."""
    weights = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["even"]),
            helper.make_node("Mul", ["x", "stretch"], ["uneven_in"]),
            helper.make_node("MatMul", ["uneven_in", "w2"], ["uneven"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 16])
            for name in ("even", "uneven")
        ],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(weights * np.array([[0.01], *[[1]] * 15], np.float32), "w2"),
            numpy_helper.from_array(np.array([100, *[1] * 15], np.float32), "stretch"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    inputs = np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32)
    found = harm(model, {"x": inputs})
    assert found["uneven"] > 50 * found["even"] > 0


def test_weights_are_halved_only_where_nothing_is_lost() -> None:
    exact = np.arange(64, dtype=np.float32)
    fine = np.full(64, 1 + 2.0**-20, np.float32)
    large = np.full(64, 1e6, np.float32)
    tensors = {"exact": exact, "fine": fine, "large": large}

    def model() -> Any:
        graph = helper.make_graph(
            [helper.make_node("Sum", list(tensors), ["y"])],
            "sums",
            [],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [64])],
            [numpy_helper.from_array(values, name) for name, values in tensors.items()],
        )
        return helper.make_model(graph)

    exactly, roughly = model(), model()
    export_onnx.store_half(exactly)
    export_onnx.store_half(roughly, lossy=True)
    types = {item.name: item.data_type for item in exactly.graph.initializer}
    assert types == {
        "exact_half": TensorProto.FLOAT16,
        "fine": TensorProto.FLOAT,
        "large": TensorProto.FLOAT,
    }
    assert {item.name for item in roughly.graph.initializer} == {"exact_half", "fine_half", "large"}
    onnx.checker.check_model(exactly)
    result = onnx.reference.ReferenceEvaluator(exactly).run(None, {})[0]
    np.testing.assert_array_equal(result, exact + fine + large)


def test_a_table_is_cast_after_the_look_up() -> None:
    table = np.arange(64, dtype=np.float32).reshape(16, 4)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        "look up",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(graph)
    export_onnx.store_half(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Gather", "Cast"]
    rows = onnx.reference.ReferenceEvaluator(model).run(None, {"ids": np.array([3, 0])})[0]
    np.testing.assert_array_equal(rows, table[[3, 0]])


def test_samples_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="fewer than 2"):
        folder_samples(tmp_path)
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(picture_bytes())
        (tmp_path / f"{i}.txt").write_text(f"caption {i}")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    samples = folder_samples(tmp_path, 4)
    assert len(samples.pictures) == len(samples.texts) == 4
    assert all(text.startswith("caption") for text in samples.texts)


def test_bundled_samples_are_as_many_as_asked_for() -> None:
    samples = bundled_samples(5)
    assert len(samples.pictures) == len(samples.texts) == 5
    assert len(set(samples.texts)) == 5


def test_inputs_are_padded_to_the_context() -> None:
    inputs = Inputs.of(source_of(tiny()), SAMPLES)
    assert inputs.ids.shape == (4, CONTEXT)
    assert inputs.tokens.cut.tolist() == [False, False, False, True]
