"""Models of transformers, from folders as they are published: against transformers itself."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from search_back.encoders import load_encoder, parse_name
from search_back.encoders.export import Samples, export_encoder
from search_back.encoders.exported import ExportedEncoder
from search_back.encoders.sources import SourceModel, hub, load_source
from search_back.encoders.sources.processor import read_preprocessing
from search_back.encoders.sources.weights import weights_digest, weights_files
from search_back.encoders.tokens.cleaning import clean
from search_back.encoders.torch import TorchEncoder
from search_back.errors import ModelUnavailable
from search_back.types import FloatArray
from search_back.vectors import normalise
from tests import tiny_models as tiny
from tests.fakes import picture_bytes

PAIRS: dict[str, Callable[[Path], Path]] = {
    "clip": tiny.hf_clip,
    "clip, old end token": lambda folder: tiny.hf_clip(folder, legacy=True),
    "metaclip 2": tiny.hf_metaclip2,
    "siglip": tiny.hf_siglip,
    "siglip 2": lambda folder: tiny.hf_siglip(folder, version=2),
    "chinese clip": tiny.hf_chinese_clip,
    "altclip": tiny.hf_altclip,
}
TEXTS_ONLY: dict[str, Callable[[Path], Path]] = {
    "m-clip": tiny.mclip,
    "sentence-transformers": tiny.sentence_transformer,
}
POSITIONS = {
    "clip": "to_end",
    "clip, old end token": "to_end",
    "metaclip 2": "to_end",
    "siglip": "all",
    "siglip 2": "all",
    "chinese clip": "unpadded",
    "altclip": "unpadded",
    "m-clip": "unpadded",
    "sentence-transformers": "unpadded",
}
CLEANED = {"siglip": "siglip", "siglip 2": "lower"}
FAMILIES = list(POSITIONS)


@pytest.fixture(scope="module", autouse=True)
def transformers() -> Iterator[Any]:
    with tiny.silent_transformers() as module:
        yield module


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    makers = PAIRS | TEXTS_ONLY
    return {name: make(tmp_path_factory.mktemp("model")) for name, make in makers.items()}


@pytest.fixture(scope="module")
def sources(folders: dict[str, Path]) -> dict[str, SourceModel]:
    return {name: load_source(parse_name(f"hf:{folder}")) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    random = np.random.default_rng(0)
    found = []
    for size in ((40, 52), (64, 36), (33, 33)):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def encoder_of(source: SourceModel) -> TorchEncoder:
    return TorchEncoder(source, device="cpu")


def whole_run(source: SourceModel, texts: list[str]) -> FloatArray:
    """Unit rows of the model's own run over the whole context."""
    tokens = source.tokenizer(texts)
    missing = source.tokenizer.context_length - tokens.ids.shape[1]
    ids = np.pad(tokens.ids, ((0, 0), (0, missing)), constant_values=tokens.pad)
    with torch.inference_mode():
        return normalise(source.whole_text(torch.from_numpy(ids)).numpy())


@pytest.mark.parametrize("family", FAMILIES)
def test_text_stops_where_the_text_stops(sources: dict[str, SourceModel], family: str) -> None:
    source = sources[family]
    assert source.text_positions == POSITIONS[family]
    encoder = encoder_of(source)
    expected = whole_run(source, tiny.TEXTS)
    assert np.abs(encoder.encode_texts(tiny.TEXTS) - expected).max() <= 1e-5
    for text, row in zip(tiny.TEXTS, expected, strict=True):
        assert np.abs(encoder.encode_texts([text])[0] - row).max() <= 1e-5
    # Vectors that are all alike would agree whatever the tower did.
    assert np.median(expected @ expected.T) < 0.99


@pytest.mark.parametrize("family", PAIRS)
def test_texts_are_those_of_transformers(
    folders: dict[str, Path], sources: dict[str, SourceModel], transformers: Any, family: str
) -> None:
    source = sources[family]
    model = transformers.AutoModel.from_pretrained(folders[family])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folders[family] / "tokenizer.json")
    )
    tokenizer.pad_token_id = source.tokenizer([""]).pad
    texts = [clean(t, CLEANED.get(family, "none")) for t in tiny.TEXTS]  # type: ignore[arg-type]
    inputs = tokenizer(
        texts,
        max_length=source.tokenizer.context_length,
        padding="max_length",
        truncation=True,
        return_tensors="pt",
    )
    # SigLIP was trained without a mask.
    kept = ["input_ids"] if "siglip" in family else ["input_ids", "attention_mask"]
    with torch.inference_mode():
        output = model.eval().get_text_features(**{name: inputs[name] for name in kept})
    expected = normalise(output.pooler_output.numpy())
    assert np.abs(encoder_of(source).encode_texts(tiny.TEXTS) - expected).max() <= 1e-5


@pytest.mark.parametrize("family", PAIRS)
def test_pictures_are_those_of_transformers(
    folders: dict[str, Path],
    sources: dict[str, SourceModel],
    transformers: Any,
    pictures: list[bytes],
    family: str,
) -> None:
    model = transformers.AutoModel.from_pretrained(folders[family])
    siglip = "siglip" in family
    kind = transformers.SiglipImageProcessorPil if siglip else transformers.CLIPImageProcessorPil
    processor = kind.from_pretrained(folders[family])
    opened = [Image.open(io.BytesIO(picture)) for picture in pictures]
    pixels = processor(opened, return_tensors="np")["pixel_values"]
    ours = [sources[family].preprocessing(picture) for picture in pictures]
    assert np.abs(np.stack(ours) - pixels).max() <= 1e-5
    with torch.inference_mode():
        output = model.eval().get_image_features(pixel_values=torch.from_numpy(pixels))
    expected = normalise(output.pooler_output.numpy())
    found = encoder_of(sources[family]).encode_images(pictures)
    assert np.abs(found - expected).max() <= 1e-5


def test_mclip_is_the_mean_of_its_tokens_and_a_linear_map(
    folders: dict[str, Path], sources: dict[str, SourceModel], transformers: Any
) -> None:
    folder = folders["m-clip"]
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    base = transformers.AutoModel.from_config(
        transformers.AutoConfig.from_pretrained(folder / "base")
    )
    own = {k.removeprefix("transformer."): v for k, v in tensors.items() if "transformer." in k}
    own.pop("embeddings.position_ids")
    base.load_state_dict(own)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, config=base.config)
    inputs = tokenizer(
        tiny.TEXTS, padding=True, truncation=True, max_length=128, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = base.eval()(**inputs).last_hidden_state
        mask = inputs["attention_mask"]
        mean = (hidden * mask.unsqueeze(2)).sum(dim=1) / mask.sum(dim=1)[:, None]
        features = torch.nn.functional.linear(
            mean, tensors["LinearTransformation.weight"], tensors["LinearTransformation.bias"]
        )
    expected = normalise(features.numpy())
    assert np.abs(encoder_of(sources["m-clip"]).encode_texts(tiny.TEXTS) - expected).max() <= 1e-5


def test_sentence_transformers_are_mean_and_dense(
    folders: dict[str, Path], sources: dict[str, SourceModel], transformers: Any
) -> None:
    folder = folders["sentence-transformers"]
    base = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(
        tiny.TEXTS, padding=True, truncation=True, max_length=48, return_tensors="pt"
    )
    weight = torch.load(folder / "2_Dense" / "pytorch_model.bin", weights_only=True)
    with torch.inference_mode():
        hidden = base(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        expected = normalise((mean @ weight["linear.weight"].T).numpy())
    found = encoder_of(sources["sentence-transformers"]).encode_texts(tiny.TEXTS)
    assert np.abs(found - expected).max() <= 1e-5


@pytest.mark.parametrize(
    "family", ["clip", "siglip", "siglip 2", "m-clip", "sentence-transformers"]
)
def test_exports_equal_torch(
    sources: dict[str, SourceModel], pictures: list[bytes], tmp_path: Path, family: str
) -> None:
    source = sources[family]
    export_encoder(source, tmp_path, samples=Samples(pictures, tiny.TEXTS))
    exported, torch_ = ExportedEncoder(tmp_path), encoder_of(source)
    assert exported.identity.matches(torch_.identity)
    expected = torch_.encode_texts(tiny.TEXTS)
    one_by_one = np.concatenate([exported.encode_texts([text]) for text in tiny.TEXTS])
    for found in (exported.encode_texts(tiny.TEXTS), one_by_one):
        assert (found * expected).sum(axis=1).min() >= 0.99999
    if family in PAIRS:
        found = exported.encode_images(pictures)
        assert (found * torch_.encode_images(pictures)).sum(axis=1).min() >= 0.99999
    else:
        assert not (tmp_path / "image.onnx").exists()
        with pytest.raises(ModelUnavailable):
            exported.encode_images(pictures)


@pytest.mark.parametrize("family", TEXTS_ONLY)
def test_models_of_texts_alone_say_so(sources: dict[str, SourceModel], family: str) -> None:
    assert sources[family].image is None
    with pytest.raises(ModelUnavailable, match="texts only"):
        encoder_of(sources[family]).encode_images([picture_bytes("red", size=(40, 40))])


def test_encoders_are_loaded_by_name(folders: dict[str, Path]) -> None:
    encoder = load_encoder(f"hf:{folders['clip']}", runtime="torch")
    assert encoder.identity.name == f"hf:{folders['clip']}"
    assert encoder.encode_texts(["a dog"]).shape == (1, tiny.DIMENSION)


@pytest.fixture
def clip(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["clip"], tmp_path / "clip"))


def load(folder: Path) -> SourceModel:
    return load_source(parse_name(f"hf:{folder}"))


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
