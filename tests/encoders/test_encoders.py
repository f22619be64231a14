"""The bundled model in both runtimes; names; identities."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search_back.encoders import load_encoder, parse_name
from search_back.encoders.exported import ExportedEncoder
from search_back.errors import (
    BadPicture,
    ConfigError,
    CorruptFile,
    LimitExceeded,
    ModelUnavailable,
)
from search_back.interfaces import Encoder
from search_back.models import model_folder, pictures_tar

TEXTS = ["a cat", "ein roter Apfel", "pizza and a cat next to a rather long list of other things"]


@pytest.fixture(scope="module")
def onnx() -> Encoder:
    return load_encoder("emoji", threads=1)


@pytest.fixture(scope="module")
def torch() -> Encoder:
    return load_encoder("emoji", runtime="torch", threads=1)


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """Every hundredth of the bundled pictures."""
    with tarfile.open(pictures_tar()) as tar:
        names = sorted(name for name in tar.getnames() if name.endswith(".jpg"))[::100]
        return [file.read() for name in names if (file := tar.extractfile(name))]


def test_runtimes_agree(onnx: Encoder, torch: Encoder, pictures: list[bytes]) -> None:
    images = onnx.encode_images(pictures), torch.encode_images(pictures)
    texts = onnx.encode_texts(TEXTS), torch.encode_texts(TEXTS)
    for ours, theirs in (images, texts):
        assert ours.dtype == theirs.dtype == np.float32
        assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-5)
        assert (ours * theirs).sum(axis=1).min() > 0.99999


def test_runtimes_of_the_same_weights_have_one_identity(onnx: Encoder, torch: Encoder) -> None:
    assert onnx.identity.matches(torch.identity)
    assert onnx.identity.dimension == torch.identity.dimension == 192


def test_a_text_has_one_vector_in_any_company(onnx: Encoder) -> None:
    many = [f"{word} {i}" * (1 + i % 5) for i, word in enumerate(["cat", "red car", "sun"] * 50)]
    together = onnx.encode_texts(many)
    for i in (0, 7, 149):
        assert together[i] == pytest.approx(onnx.encode_texts([many[i]])[0], abs=1e-5)


def test_nothing_gives_no_rows(onnx: Encoder) -> None:
    assert onnx.encode_texts([]).shape == (0, 192)
    assert onnx.encode_images([]).shape == (0, 192)


@pytest.mark.parametrize("text", ["", "   ", "🐱", "مرحبا", "\x00", "word " * 999])
def test_odd_texts_have_vectors(onnx: Encoder, text: str) -> None:
    vector = onnx.encode_texts([text])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_many_pictures_have_the_vectors_they_have_alone(
    folder: Path, pictures: list[bytes]
) -> None:
    encoder = ExportedEncoder(folder, threads=1)
    many = (pictures * 80)[:80]
    together = encoder.encode_images(many)
    for i in (0, 63, 64, 79):
        assert together[i] == pytest.approx(encoder.encode_images([many[i]])[0], abs=1e-5)


def test_drafts_and_limits_of_pictures_are_the_encoders(folder: Path) -> None:
    image = Image.effect_noise((600, 600), 60).convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG")
    encoder = ExportedEncoder(folder, threads=1)
    exact = encoder.preprocess(file.getvalue())
    encoder.draft = "fast"
    assert np.abs(encoder.preprocess(file.getvalue()) - exact).max() > 0
    encoder.max_pixels = 599 * 600
    with pytest.raises(LimitExceeded):
        encoder.preprocess(file.getvalue())


def test_a_broken_picture_is_told(onnx: Encoder) -> None:
    with pytest.raises(BadPicture):
        onnx.encode_images([b"no picture"])


def test_serving_needs_no_torch() -> None:
    code = (
        "import sys; from search_back.encoders import load_encoder; "
        "load_encoder('emoji').encode_texts(['a cat']); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'open_clip', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, search_back; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'faiss', 'flask', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_are_taken_apart() -> None:
    assert parse_name("ViT-B/32").architecture == "ViT-B-32-quickgelu"
    assert parse_name("ViT-B/32").pretrained == "openai"
    tagged = parse_name("open_clip:ViT-B-32/laion2b_s34b_b79k")
    assert (tagged.architecture, tagged.pretrained) == ("ViT-B-32", "laion2b_s34b_b79k")
    assert parse_name("open_clip:hf-hub:timm/ViT-B-16-SigLIP").architecture == (
        "hf-hub:timm/ViT-B-16-SigLIP"
    )
    local = parse_name("open_clip:ViT-B-32//models/vitb32.pt")
    assert (local.architecture, local.pretrained) == ("ViT-B-32", "/models/vitb32.pt")
    assert parse_name(f"local-dir:{model_folder()}").folder == model_folder()
    assert parse_name(str(model_folder())).folder == model_folder()


def test_a_model_of_ones_own_is_found_again_from_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    for name in ("model", "local-dir:model", "open_clip:local-dir:model"):
        recorded = load_encoder(name).identity.name
        assert str(folder) in recorded
        assert parse_name(recorded).folder == folder
    (folder / "weights.pt").write_bytes(b"weights")
    spec = parse_name("open_clip:ViT-B-32/model/weights.pt")
    assert spec.pretrained == str(folder / "weights.pt")
    assert parse_name(spec.name) == spec


def test_unknown_names_are_answered_with_the_known_forms() -> None:
    with pytest.raises(ConfigError, match="open_clip:MODEL"):
        parse_name("no-such-model")


@pytest.mark.parametrize(
    "name",
    [
        "open_clip:hf-hub:no/such",
        "open_clip:NoSuchModel/x",
        "open_clip:ViT-B-32/no-such-tag",
        "open_clip:ViT-B-32//no/such.pt",
    ],
)
def test_weights_that_cannot_be_had_are_told(name: str) -> None:
    with pytest.raises(ModelUnavailable):
        load_encoder(name)


def test_a_checkpoint_of_ones_own_is_loaded(tmp_path: Path) -> None:
    from search_back.encoders.sources.open_clip_import import open_clip as import_open_clip

    open_clip = import_open_clip()
    import torch

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt", pretrained=None)
    path = tmp_path / "model.pt"
    torch.save(model.state_dict(), path)
    encoder = load_encoder(f"open_clip:ViT-S-32-alt/{path}", threads=1)
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer("ViT-S-32-alt")(TEXTS)
        expected = torch.nn.functional.normalize(model.eval().encode_text(tokens), dim=-1).numpy()
    assert encoder.encode_texts(TEXTS) == pytest.approx(expected, abs=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder(), tmp_path / "model"))


def test_a_folder_without_description_is_told(folder: Path) -> None:
    (folder / "encoder.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"encoder\.json"):
        ExportedEncoder(folder)


def test_a_broken_description_is_told(folder: Path) -> None:
    (folder / "encoder.json").write_text('{"name": "x"}')
    with pytest.raises(CorruptFile, match=r"encoder\.json"):
        ExportedEncoder(folder)


def test_a_broken_tower_is_told_when_it_is_needed(folder: Path, pictures: list[bytes]) -> None:
    (folder / "text.onnx").write_bytes(b"no model")
    encoder = ExportedEncoder(folder)
    assert encoder.encode_images(pictures[:1]).shape == (1, 192)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match=r"text\.onnx"):
            encoder.encode_texts(["a cat"])


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "0" * 64},
        {"preprocessing": {"image_size": [64, 64], "resize_mode": "shortest"}},
    ],
    ids=["weights", "preprocessing"],
)
def test_other_weights_or_preprocessing_are_another_identity(
    folder: Path, onnx: Encoder, change: dict[str, object]
) -> None:
    path = folder / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert not ExportedEncoder(folder).identity.matches(onnx.identity)


def test_another_precision_is_the_same_identity(folder: Path, onnx: Encoder) -> None:
    path = folder / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": "int8"}))
    encoder = ExportedEncoder(folder)
    assert encoder.identity.matches(onnx.identity)
    assert encoder.identity.precision == "fp32"
    assert (onnx.runtime.precision, encoder.runtime.precision) == ("fp32", "int8")


def test_another_name_is_the_same_identity(folder: Path, onnx: Encoder) -> None:
    path = folder / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "other"}))
    assert ExportedEncoder(folder).identity.matches(onnx.identity)
