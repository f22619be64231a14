"""Which files of a published folder are read, and what is said of those that cannot be."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search_back.encoders.sources.processor import read_preprocessing
from search_back.encoders.sources.weights import weights_digest, weights_files
from search_back.errors import ModelUnavailable
from tests import tiny_models as tiny
from tests.encoders.published import encoder_of, load, whole_run

pytestmark = pytest.mark.usefixtures("transformers")


def test_weights_in_parts_are_one_model(clip: Path, transformers: Any) -> None:
    whole = load(clip)
    model = transformers.AutoModel.from_pretrained(clip)
    (clip / "model.safetensors").unlink()
    model.save_pretrained(clip, max_shard_size="40KB")
    files = weights_files(clip)
    assert len(files) > 2
    source = load(clip)
    expected = encoder_of(whole).encode_texts(tiny.TEXTS)
    assert np.abs(encoder_of(source).encode_texts(tiny.TEXTS) - expected).max() <= 1e-5
    joined = "\n".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert source.weights_sha256 == hashlib.sha256(joined.encode()).hexdigest()
    assert source.origin["weights"] == [str(file) for file in files]
    files[1].unlink()
    with pytest.raises(ModelUnavailable, match=files[1].name):
        load(clip)


def test_safetensors_go_before_pickles_which_run_no_code(clip: Path, transformers: Any) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (clip / "sprung",))

    (clip / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Trap()}))
    assert load(clip).weights_sha256 == weights_digest([clip / "model.safetensors"])
    (clip / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load(clip)
    assert not (clip / "sprung").exists()


def test_pickled_tensors_are_read(clip: Path, transformers: Any) -> None:
    expected = encoder_of(load(clip)).encode_texts(["a dog"])
    state = transformers.AutoModel.from_pretrained(clip).state_dict()
    torch.save(state, clip / "pytorch_model.bin")
    (clip / "model.safetensors").unlink()
    assert np.abs(encoder_of(load(clip)).encode_texts(["a dog"]) - expected).max() <= 1e-6


def test_m_clip_in_safetensors_is_the_same_model(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = Path(shutil.copytree(folders["m-clip"], tmp_path / "model"))
    expected = encoder_of(load(folder)).encode_texts(tiny.TEXTS)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "pytorch_model.bin").unlink()
    assert np.abs(encoder_of(load(folder)).encode_texts(tiny.TEXTS) - expected).max() <= 1e-6


def test_weights_of_another_model_are_refused(clip: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(clip / "model.safetensors")
    tensors.pop("text_projection.weight")
    save_file(tensors, clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"text_projection\.weight"):
        load(clip)


def test_weights_that_do_not_fit_an_m_clip_are_refused(tmp_path: Path) -> None:
    folder = tiny.mclip(tmp_path)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    tensors.pop("LinearTransformation.weight")
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match=r"LinearTransformation\.weight"):
        load(folder)


def test_the_base_of_an_m_clip_must_be_known(tmp_path: Path) -> None:
    folder = tiny.mclip(tmp_path)
    about = json.loads((folder / "config.json").read_text())
    tiny.write_json(folder / "config.json", {**about, "modelBase": "nobody/knows"})
    with pytest.raises(ModelUnavailable, match="nobody/knows"):
        load(folder)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "siglip2"}, "NaFlex"),
        ({"model_type": "colpali"}, "colpali"),
        ({}, "no model of pictures"),
    ],
)
def test_other_models_are_refused_in_words(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    tiny.write_json(tmp_path / "config.json", config)
    with pytest.raises(ModelUnavailable, match=said):
        load(tmp_path)


@pytest.mark.parametrize("absent", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_a_folder_lacks_is_named(clip: Path, absent: str) -> None:
    (clip / absent).unlink()
    with pytest.raises(ModelUnavailable, match=absent):
        load(clip)


def test_a_folder_without_preprocessing_is_told(clip: Path) -> None:
    about = json.loads((clip / "preprocessor_config.json").read_text())
    (clip / "preprocessor_config.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"preprocessor_config\.json"):
        load(clip)
    tiny.write_json(clip / "processor_config.json", {"image_processor": about})
    assert load(clip).preprocessing.image_size == (tiny.SIZE, tiny.SIZE)


@pytest.mark.parametrize(
    "changes",
    [
        {"resample": 0},
        {"do_resize": False},
        {"do_rescale": False},
        {"rescale_factor": 1 / 127.5},
        {"do_center_crop": False},
        {"crop_size": 24},
        {"size": {"longest_edge": 32}},
        {"size": None, "do_center_crop": False},
    ],
    ids=repr,
)
def test_preprocessing_that_is_not_known_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    tiny.clip_preprocessor(tmp_path, **changes)
    with pytest.raises(ModelUnavailable, match="preprocessing"):
        read_preprocessing(tmp_path, siglip=False)


def test_older_forms_of_preprocessing_are_read(tmp_path: Path) -> None:
    tiny.write_json(
        tmp_path / "preprocessor_config.json",
        {"size": 32, "crop_size": 32, "do_center_crop": True, "resample": 2},
    )
    found = read_preprocessing(tmp_path, siglip=False)
    assert (found.resize_mode, found.image_size) == ("shortest", (32, 32))
    assert (found.interpolation, found.mean[0]) == ("bilinear", pytest.approx(0.4815, abs=1e-4))
    tiny.write_json(
        tmp_path / "preprocessor_config.json",
        {"size": {"height": 24, "width": 32}, "do_normalize": False},
    )
    found = read_preprocessing(tmp_path, siglip=True)
    assert (found.resize_mode, found.image_size, found.std) == ("squash", (24, 32), (1.0,) * 3)


@pytest.mark.parametrize(
    ("file", "value", "said"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "max"),
        ("1_Pooling/config.json", {}, "pooling"),
        ("2_Dense/config.json", {"in_features": 32}, "2_Dense"),
        ("2_Dense/config.json", {"in_features": 3, "out_features": 4, "bias": False}, "2_Dense"),
        ("modules.json", [{"type": "x.Transformer", "path": ""}], "Pooling"),
        ("modules.json", [{"type": "x.StaticEmbedding", "path": ""}], "StaticEmbedding"),
    ],
)
def test_sentence_transformers_of_other_kinds_are_refused(
    folders: dict[str, Path], tmp_path: Path, file: str, value: Any, said: str
) -> None:
    folder = shutil.copytree(folders["sentence-transformers"], tmp_path / "model")
    tiny.write_json(folder / file, value)
    with pytest.raises(ModelUnavailable, match=said):
        load(folder)


def test_a_clip_of_sentence_transformers_is_a_clip(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrapped"
    shutil.copytree(clip, folder / "0_CLIPModel")
    tiny.write_json(folder / "modules.json", [{"type": "x.CLIPModel", "path": "0_CLIPModel"}])
    assert load(folder).image is not None


def test_a_transformer_without_its_pooler_is_whole(
    folders: dict[str, Path], transformers: Any, tmp_path: Path
) -> None:
    """Many multilingual models are XLM-R's, saved without what they do not use."""
    folder = Path(shutil.copytree(folders["sentence-transformers"], tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    words = tiny.xlm_roberta_tokenizer(folder)
    config = tiny.roberta_config(words)
    config.pop("model_type")
    with tiny.silent_transformers():
        model = tiny.random_model(
            lambda about: transformers.XLMRobertaModel(about, add_pooling_layer=False),
            transformers.XLMRobertaConfig(**config),
        )
        model.save_pretrained(folder)
    source = load(folder)
    expected = whole_run(source, tiny.TEXTS)
    assert np.abs(encoder_of(source).encode_texts(tiny.TEXTS) - expected).max() <= 1e-5


def test_without_transformers_it_is_told_what_to_install(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise ImportError("No module named 'transformers'")

    monkeypatch.setattr("search_back.encoders.sources.hugging_face.import_transformers", absent)
    with pytest.raises(ModelUnavailable, match=r"search_back\[hf\]"):
        load(clip)
