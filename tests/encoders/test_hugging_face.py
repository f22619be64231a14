"""Models of transformers, from folders as they are published: against transformers itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from search_back.encoders import load_encoder, parse_name
from search_back.encoders.export import Samples, export_encoder
from search_back.encoders.exported import ExportedEncoder
from search_back.encoders.sources import SourceModel, load_source
from search_back.encoders.tokens.cleaning import clean
from search_back.errors import ModelUnavailable
from search_back.vectors import normalise
from tests import tiny_models as tiny
from tests.encoders.published import PAIRS, TEXTS_ONLY, encoder_of, whole_run
from tests.fakes import picture_bytes

pytestmark = pytest.mark.usefixtures("transformers")


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
