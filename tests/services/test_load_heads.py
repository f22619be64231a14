"""Heads from every kind of file, made here in the shapes that are published."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from search_back.config import PinnedFile
from search_back.errors import BadFolder, ConfigError, CorruptFile, DimensionMismatch
from search_back.search.heads import Head
from search_back.services.heads import load_aesthetics, load_head
from search_back.types import FloatArray
from tests.folders import unit_rows

D = 16
ROWS = unit_rows(20, D)


def load(path: Path, sha256: str | None = None, *, dimension: int = D) -> Head:
    return load_head(PinnedFile(path, sha256), dimension=dimension)


def save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def sequential(*parts: nn.Module) -> nn.Sequential:
    """Parts in evaluation mode, the same weights every time."""
    torch.manual_seed(0)
    chain = nn.Sequential(*parts).eval()
    for parameter in chain.parameters():
        nn.init.normal_(parameter, std=0.5)
    return chain


def by_torch(module: nn.Module, rows: FloatArray) -> FloatArray:
    with torch.no_grad():
        scores: FloatArray = module(torch.from_numpy(rows)).numpy()
    return scores


def save_torch(path: Path, module: nn.Module, prefix: str = "layers.") -> Path:
    torch.save({prefix + name: value for name, value in module.state_dict().items()}, path)
    return path


def test_an_array_of_weights(tmp_path: Path) -> None:
    weights = unit_rows(1, D, seed=1)
    for name, array in {"flat": weights[0], "row": weights, "wide": weights.astype("f8")}.items():
        head = load(save(tmp_path / f"{name}.npy", array))
        np.testing.assert_allclose(head(ROWS), ROWS @ weights[0], atol=1e-6)


def test_an_array_one_longer_ends_in_the_bias(tmp_path: Path) -> None:
    weights = np.append(unit_rows(1, D, seed=1)[0], np.float32(0.25))
    head = load(save(tmp_path / "a.npy", weights))
    np.testing.assert_allclose(head(ROWS), ROWS @ weights[:-1] + 0.25, atol=1e-6)


@pytest.mark.parametrize("type_", ["f2", "f4"])
def test_a_matrix_is_a_prototype_a_class(tmp_path: Path, type_: str) -> None:
    prototypes = unit_rows(3, D, seed=1).astype(type_)
    head = load(save(tmp_path / "violence.npy", prototypes))
    assert head.classes == 3
    np.testing.assert_allclose(head(ROWS), ROWS @ prototypes.astype("f4").T, atol=1e-6)


def test_a_single_linear_layer(tmp_path: Path) -> None:
    """Of the shape of `sa_0_4_vit_l_14_linear.pth`."""
    torch.manual_seed(0)
    linear = nn.Linear(D, 1)
    head = load(save_torch(tmp_path / "linear.pth", linear, prefix=""))
    np.testing.assert_allclose(head(ROWS), by_torch(linear, ROWS)[:, 0], atol=1e-6)


def test_the_improved_aesthetic_predictor(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.Linear(768, 1024), nn.Dropout(0.2), nn.Linear(1024, 128), nn.Dropout(0.2)),
        *(nn.Linear(128, 64), nn.Dropout(0.1), nn.Linear(64, 16), nn.Linear(16, 1)),
    ).eval()
    rows = unit_rows(9, 768)
    head = load(save_torch(tmp_path / "linearMSE.pth", module), dimension=768)
    assert str(head) == "768 → 1024 → 128 → 64 → 16 → 1, linear"
    np.testing.assert_allclose(head(rows), by_torch(module, rows)[:, 0], atol=1e-5)


def test_the_detector_of_the_largest_model(tmp_path: Path) -> None:
    """Of the shape of `h14_nsfw.pth`, narrower."""
    widths = [D, 10, 20, 10, 8, 6]
    parts: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.2)]
    module = sequential(*parts, nn.Linear(6, 4), nn.Linear(4, 1))
    assert [name for name in module.state_dict() if "weight" in name] == [
        f"{i}.weight" for i in (0, 3, 6, 9, 12, 15, 16)
    ]
    head = load(save_torch(tmp_path / "h14_nsfw.pth", module))
    np.testing.assert_allclose(head(ROWS), by_torch(module, ROWS)[:, 0], rtol=1e-4, atol=1e-5)


def ported(widths: Sequence[int]) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state = {
        "norm.mean": torch.randn(widths[0]) / 10,
        "norm.variance": torch.rand(widths[0]) / 50,
    }
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        state[f"linear_{i + 1}.weight"] = torch.randn(after, before) / before
        state[f"linear_{i + 1}.bias"] = torch.randn(after) / 9
    return state


@pytest.mark.parametrize("widths", [(D, 32, 32, 1), (D, 6, 50, 25, 1)])
def test_the_detectors_that_were_ported_from_keras(tmp_path: Path, widths: Sequence[int]) -> None:
    """Of the shape of `clip_ViT-L-14_openai_binary_nsfw_head.pth`."""
    state = ported(widths)
    torch.save(state, tmp_path / "nsfw.pth")
    x = (torch.from_numpy(ROWS) - state["norm.mean"]) / (state["norm.variance"].sqrt() + 1e-10)
    for i in range(1, len(widths)):
        x = nn.functional.linear(x, state[f"linear_{i}.weight"], state[f"linear_{i}.bias"])
        x = torch.relu(x) if i < len(widths) - 1 else torch.sigmoid(x)
    np.testing.assert_allclose(load(tmp_path / "nsfw.pth")(ROWS), x.numpy()[:, 0], atol=1e-5)


def test_an_input_that_never_varied_stays_out_of_the_score(tmp_path: Path) -> None:
    state = ported((D, 4, 1))
    state["norm.variance"][3] = 0
    state["norm.mean"][3] = float(ROWS[7, 3])
    torch.save(state, tmp_path / "a.pth")
    moved = {**state, "linear_1.weight": state["linear_1.weight"].clone()}
    moved["linear_1.weight"][:, 3] = 0
    torch.save(moved, tmp_path / "b.pth")
    one, other = load(tmp_path / "a.pth")(ROWS[7:8]), load(tmp_path / "b.pth")(ROWS[7:8])
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("type_", [torch.float32, torch.float16, torch.float64, torch.bfloat16])
def test_tensors_of_every_precision(tmp_path: Path, type_: torch.dtype) -> None:
    module = sequential(nn.Linear(D, 1)).to(type_)
    head = load(save_torch(tmp_path / "a.pt", module))
    expected = by_torch(module.float(), ROWS)[:, 0]
    np.testing.assert_allclose(head(ROWS), expected, atol=1e-5)


ACTIVATIONS = {"none": nn.Identity(), "relu": nn.ReLU(), "gelu": nn.GELU()}
OUTPUTS = {"none": nn.Identity(), "sigmoid": nn.Sigmoid(), "softmax": nn.Softmax(dim=1)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_metadata_of_safetensors_say_what_is_between(
    tmp_path: Path, activation: str, output: str
) -> None:
    module = sequential(
        *(nn.Linear(D, 7), ACTIVATIONS[activation], nn.Linear(7, 5), ACTIVATIONS[activation]),
        *(nn.Linear(5, 2), OUTPUTS[output]),
    )
    path = tmp_path / "a.safetensors"
    metadata = {"activation": activation, "output": output, "by": "somebody"}
    save_file(module.state_dict(), path, metadata=metadata)
    np.testing.assert_allclose(load(path)(ROWS), by_torch(module, ROWS), rtol=1e-4, atol=1e-5)


def test_layers_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    widths = [D, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1]
    parts = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    module = sequential(*parts)
    path = tmp_path / "a.safetensors"
    save_file({f"net.{name}": t for name, t in module.state_dict().items()}, path)
    np.testing.assert_allclose(load(path)(ROWS), by_torch(module, ROWS)[:, 0], rtol=1e-4, atol=1e-3)


def test_a_layer_need_not_have_a_bias(tmp_path: Path) -> None:
    weight = unit_rows(1, D, seed=2)
    save_file({"weight": torch.from_numpy(weight)}, tmp_path / "a.safetensors")
    np.testing.assert_allclose(load(tmp_path / "a.safetensors")(ROWS), ROWS @ weight[0], atol=1e-6)


def write_keras(
    path: Path,
    layers: Sequence[tuple[str, Mapping[str, Any], Mapping[str, FloatArray]]],
    *,
    kind: str = "Sequential",
) -> Path:
    """As `model.save("a.h5")` lays a model out."""
    with h5py.File(path, "w") as file:
        settings = []
        for i, (class_name, config, weights) in enumerate(layers):
            name = f"layer_{i}"
            settings.append({"class_name": class_name, "config": {"name": name, **config}})
            group = file.create_group(f"model_weights/{name}")
            for weight, values in weights.items():
                group[f"{name}/{weight}:0"] = values
            group.attrs["weight_names"] = [f"{name}/{weight}:0".encode() for weight in weights]
        model = {"class_name": kind, "config": {"name": "m", "layers": settings}}
        file.attrs["model_config"] = json.dumps(model)
    return path


def dense(activation: str, kernel: FloatArray, *bias: FloatArray) -> tuple[str, Any, Any]:
    weights = {"kernel": kernel, **({"bias": bias[0]} if bias else {})}
    return "Dense", {"activation": activation, "units": kernel.shape[1]}, weights


def test_a_keras_model_of_dense_layers(tmp_path: Path) -> None:
    first, second, bias = unit_rows(D, 6), unit_rows(6, 3), unit_rows(1, 6)[0]
    path = write_keras(
        tmp_path / "a.h5",
        [
            ("InputLayer", {}, {}),
            dense("relu", first, bias),
            ("Dropout", {"rate": 0.5}, {}),
            dense("softmax", second),
        ],
    )
    logits = np.maximum(ROWS @ first + bias, 0) @ second
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(load(path)(ROWS), expected, atol=1e-6)


def test_a_keras_model_this_cannot_read_is_refused(tmp_path: Path) -> None:
    kernel = unit_rows(D, 1)
    path = tmp_path / "a.h5"
    for layers, kind, said in (
        ([dense("linear", kernel)], "Functional", "Functional model, no Sequential"),
        ([("Normalization", {}, {}), dense("linear", kernel)], "Sequential", "Normalization"),
        ([dense("tanh", kernel)], "Sequential", "activation tanh"),
        ([dense("sigmoid", kernel), dense("linear", kernel)], "Sequential", "activation sigmoid"),
        ([dense("softmax", kernel)], "Sequential", "a softmax of one output"),
        ([dense("relu", kernel), dense("linear", kernel)], "Sequential", "1 outputs before 16"),
        ([], "Sequential", "without a dense layer"),
    ):
        write_keras(path, layers, kind=kind)
        with pytest.raises(CorruptFile, match=said) as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    with open(tmp_path / "a.npy", "wb") as file:
        np.savez(file, weights=unit_rows(1, D))
    with pytest.raises(CorruptFile, match=r"a\.npy cannot be used .*archive"):
        load(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", ["npy", "safetensors", "pt", "pth", "h5"])
@pytest.mark.parametrize("damage", ["empty", "noise", "cut"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"head.{suffix}"
    if suffix == "npy":
        save(path, unit_rows(1, D))
    elif suffix == "safetensors":
        save_file({"weight": torch.ones(1, D)}, path)
    elif suffix == "h5":
        write_keras(path, [dense("linear", unit_rows(D, 1))])
    else:
        save_torch(path, nn.Linear(D, 1), prefix="")
    whole = path.read_bytes()
    assert load(path).dimension == D
    data = {"empty": b"", "noise": bytes(range(256)) * 9, "cut": whole[: len(whole) // 2]}
    path.write_bytes(data[damage])
    with pytest.raises(CorruptFile) as caught:
        load(path)
    assert str(path) in str(caught.value)


class Harmful:
    """Runs code when it is unpickled."""

    ran: list[str] = []  # noqa: RUF012

    def __reduce__(self) -> Any:
        return self.ran.append, ("ran",)


@pytest.mark.parametrize("suffix", ["pth", "npy"])
def test_a_pickle_runs_no_code(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    harmful = {"weight": Harmful()}
    if suffix == "npy":
        np.save(path, np.array([harmful], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(harmful))
    with pytest.raises(CorruptFile, match="cannot be used"):
        load(path)
    assert Harmful.ran == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"0.weight": torch.ones(4, D), "2.weight": torch.ones(1, 4)}, "does not say what stands"),
        (
            {"linear_1.weight": torch.ones(4, D), "linear_2.weight": torch.ones(1, 4)},
            "does not say what stands",
        ),
        ({"norm.mean": torch.ones(D), "0.weight": torch.ones(1, D)}, "does not say what stands"),
        (
            {"norm.mean": torch.ones(D), "linear_1.weight": torch.ones(1, D)},
            "a normalisation of",
        ),
        ({"0.weight": torch.ones(4, D), "1.weight": torch.ones(1, 5)}, "4 outputs before 5"),
        ({"a.weight": torch.ones(4, D), "b.weight": torch.ones(1, 4)}, "do not tell"),
        ({"a.0.weight": torch.ones(4, D), "b.1.weight": torch.ones(1, 4)}, "do not tell"),
        ({"weight": torch.ones(1, D), "running_mean": torch.ones(D)}, "running_mean"),
        ({"bias": torch.ones(1)}, "not those of linear layers"),
        ({}, "not those of linear layers"),
        ({"weight": torch.ones(1, D), "bias": torch.ones(2)}, "a bias of shape"),
        ({"weight": torch.ones(1, D, 1)}, "no matrix"),
        ({"weight": torch.ones(0, D)}, "no matrix"),
        ({"weight": torch.full((1, D), float("nan"))}, "NaN or infinity"),
        ({"weight": torch.full((1, D), 1e300, dtype=torch.float64)}, "NaN or infinity"),
        ({"weight": torch.ones(1, D, dtype=torch.complex64)}, "complex64"),
        ({"epoch": 3}, "epoch"),
        ([torch.ones(1, D)], "a list, no state_dict"),
    ],
)
def test_tensors_that_make_no_head(tmp_path: Path, state: Any, said: str) -> None:
    path = tmp_path / "a.pth"
    torch.save(state, path)
    with pytest.raises(CorruptFile, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"activation": "tanh"}, "activation 'tanh'"),
        ({"activation": "relu", "output": "exp"}, "output 'exp'"),
        ({"activation": "relu", "output": "softmax"}, "a softmax of one output"),
        ({"output": "sigmoid"}, "does not say what stands"),
    ],
)
def test_metadata_that_say_nothing_known(
    tmp_path: Path, metadata: dict[str, str], said: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"0.weight": torch.ones(4, D), "2.weight": torch.ones(1, 4)}, path, metadata)
    with pytest.raises(CorruptFile, match=said):
        load(path)


def test_vectors_of_another_length_are_refused_with_both(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "a.pth", nn.Linear(D, 1), prefix="")
    with pytest.raises(DimensionMismatch, match=r"a\.pth reads 16-d vectors.*of 32-d"):
        load(path, dimension=32)
    for shape in ((D + 2,), (2, D + 1), (D, 1), (0, D), (1, 1, D), ()):
        save(tmp_path / "a.npy", np.ones(shape, np.float32))
        with pytest.raises(DimensionMismatch, match=r"a\.npy reads no 16-d vectors"):
            load(tmp_path / "a.npy")


def test_the_digest_is_checked_before_use_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path / "a.npy", unit_rows(1, D))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with caplog.at_level(logging.INFO):
        load(path, digest)
    assert f"read {path}, sha256 {digest}" in caplog.text
    path.write_bytes(b"something else, and no array")
    with pytest.raises(CorruptFile, match="not the sha256 that is asked for") as caught:
        load(path, digest)
    for part in (str(path), digest, hashlib.sha256(path.read_bytes()).hexdigest()):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["none.npy", "folder.npy"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(ConfigError, match=name):
        load(tmp_path / name)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(ConfigError, match=r"a\.pkl.*\.safetensors"):
        load(tmp_path / "a.pkl")


def rated(source: Path, sha256: str | None = None) -> Mapping[int, FloatArray]:
    return load_aesthetics(PinnedFile(source, sha256), dimension=D)


def test_aesthetic_embeddings_in_a_folder(tmp_path: Path) -> None:
    rows = unit_rows(10, D)
    for score in (0, 3, 9):
        shape = (1, D) if score == 3 else (D,)
        save(tmp_path / f"rating{score}.npy", rows[score].reshape(shape))
    save(tmp_path / "rating12.npy", rows[0])
    (tmp_path / "readme.md").write_text("scores")
    found = rated(tmp_path)
    assert sorted(found) == [0, 3, 9]
    for score, embedding in found.items():
        np.testing.assert_array_equal(embedding, rows[score])


def test_aesthetic_embeddings_in_a_file(tmp_path: Path) -> None:
    rows = unit_rows(10, D)
    path = save(tmp_path / "rated.npy", rows)
    for sha256 in (None, hashlib.sha256(path.read_bytes()).hexdigest()):
        found = rated(path, sha256)
        np.testing.assert_array_equal(np.stack([found[score] for score in range(10)]), rows)


def test_aesthetic_embeddings_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match=r"rating0\.npy"):
        rated(tmp_path)
    with pytest.raises(ConfigError, match="a sha256 is of one file"):
        rated(tmp_path, "0" * 64)
    with pytest.raises(ConfigError, match="none"):
        rated(tmp_path / "none")
    path = save(tmp_path / "rating4.npy", np.ones(D + 1))
    with pytest.raises(DimensionMismatch, match=r"16-d.*rating4\.npy"):
        rated(tmp_path)
    with pytest.raises(CorruptFile, match=r"rating4\.npy should hold an embedding for each"):
        rated(path)
    save(path, np.ones((10, D + 1)))
    with pytest.raises(DimensionMismatch, match=r"rating4\.npy"):
        rated(path)
    path.write_bytes(b"")
    with pytest.raises(CorruptFile, match=r"rating4\.npy"):
        rated(path)
