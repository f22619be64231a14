"""Exporting towers of open_clip models, not only of the bundled one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from search_back.encoders import export, towers
from search_back.encoders.open_clip_import import open_clip
from search_back.errors import ModelUnavailable

CONTEXT, WORDS = 12, 50
VISION = {"image_size": 32, "patch_size": 16, "layers": 1, "width": 32, "head_width": 16}
TEXT = {"context_length": CONTEXT, "vocab_size": WORDS, "width": 32, "heads": 2, "layers": 2}


def tiny(kind: str = "CLIP", **text: Any) -> Any:
    torch.manual_seed(0)
    make = getattr(open_clip().model, kind)
    return make(embed_dim=24, vision_cfg=dict(VISION), text_cfg=TEXT | text).eval()


def token_rows(*lengths: int) -> Any:
    rows = np.zeros((len(lengths), CONTEXT), np.int64)
    rng = np.random.default_rng(0)
    for row, length in zip(rows, lengths, strict=True):
        row[: length - 1] = rng.integers(1, WORDS - 1, length - 1)
        row[length - 1] = WORDS - 1
    return rows


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("CLIP", {}),
        ("CustomTextCLIP", {}),
        ("CustomTextCLIP", {"pool_type": "eos", "eos_id": WORDS - 1, "proj_type": "linear"}),
    ],
    ids=["clip", "custom text", "fixed end token"],
)
def test_short_text_tower_equals_the_whole_one(kind: str, text: dict[str, Any]) -> None:
    clip = tiny(kind, **text)
    assert towers.is_causal(clip)
    tower = towers.text_tower(clip)
    for length in range(3, CONTEXT + 1):
        ids = torch.from_numpy(token_rows(length))
        with torch.no_grad():
            difference = tower(ids[:, :length]) - clip.encode_text(ids)
        assert difference.abs().max() <= 1e-5


@pytest.mark.parametrize(
    "text", [{"no_causal_mask": True}, {"embed_cls": True}, {"pool_type": "last"}]
)
def test_towers_that_read_the_whole_text_are_not_causal(text: dict[str, Any]) -> None:
    clip = tiny("CustomTextCLIP", **text)
    assert not towers.is_causal(clip)
    ids = torch.from_numpy(token_rows(5, 7))
    with torch.no_grad():
        assert torch.equal(towers.text_tower(clip)(ids), clip.encode_text(ids))


def test_exported_towers_run_without_torch_and_are_described(tmp_path: Path) -> None:
    clip = tiny()
    (tmp_path / export.WEIGHTS_FILE).write_bytes(b"weights")
    pixels = np.random.default_rng(1).normal(size=(3, 3, 32, 32)).astype(np.float32)
    ids = token_rows(3, 8, CONTEXT)
    checks = export.export_towers(clip, tmp_path, pixel_values=pixels, input_ids=ids)
    assert checks.inputs == 6
    assert min(checks.min_cosine_image, checks.min_cosine_text) >= export.LEAST_COSINE
    text = export.open_tower(tmp_path / "text.onnx")
    for length in range(3, CONTEXT + 1):
        row = token_rows(length)
        np.testing.assert_allclose(text(row[:, :length]), text(row), atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {
        "image.onnx", "text.onnx", export.WEIGHTS_FILE,
    }  # fmt: skip
    export.write_encoder_json(
        clip,
        tmp_path,
        name="tiny",
        checks=checks,
        preprocessing={"size": 32, "resize_mode": "shortest", "interpolation": "bicubic",
                       "mean": (0, 0, 0), "std": (1, 1, 1)},
        tokenizer={"kind": "clip_bpe"},
    )  # fmt: skip
    written = json.loads((tmp_path / export.ENCODER_FILE).read_text(encoding="utf-8"))
    assert written["dimension"] == 24
    assert written["preprocessing"]["image_size"] == [32, 32]
    assert written["text_is_causal"] is True


def test_a_tower_that_differs_from_torch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = export.open_tower

    def slightly_wrong(file: Path) -> Any:
        run = right(file)
        return lambda inputs: run(inputs) + (0.05 if file.name == "text.onnx" else 0)

    monkeypatch.setattr(export, "open_tower", slightly_wrong)
    pixels = np.zeros((2, 3, 32, 32), np.float32)
    with pytest.raises(ModelUnavailable, match="text tower differs"):
        export.export_towers(tiny(), tmp_path, pixel_values=pixels, input_ids=token_rows(4, 9))


def test_weights_are_halved_only_where_nothing_is_lost() -> None:
    exact = np.arange(64, dtype=np.float32)
    fine = np.full(64, 1 + 2.0**-20, np.float32)
    large = np.full(64, 1e6, np.float32)
    tensors = {"exact": exact, "fine": fine, "large": large}
    graph = helper.make_graph(
        [helper.make_node("Sum", list(tensors), ["y"])],
        "sums",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [64])],
        [numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    model = helper.make_model(graph)
    export.store_half(model)
    onnx.checker.check_model(model)
    types = {item.name: item.data_type for item in model.graph.initializer}
    assert types == {
        "exact_half": TensorProto.FLOAT16,
        "fine": TensorProto.FLOAT,
        "large": TensorProto.FLOAT,
    }
    result = onnx.reference.ReferenceEvaluator(model).run(None, {})[0]
    np.testing.assert_array_equal(result, exact + fine + large)
