"""Every family of open_clip's text towers: what of a text they run, and what they give."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search_back.encoders import parse_name
from search_back.encoders.export import Samples, export_encoder
from search_back.encoders.exported import ExportedEncoder
from search_back.encoders.sources import SourceModel, load_source
from search_back.encoders.sources.open_clip import text_positions
from search_back.encoders.sources.open_clip_import import open_clip
from search_back.encoders.sources.towers import text_tower, whole_text
from search_back.encoders.sources.vocabulary import read_tokenizer
from search_back.encoders.tokens import Tokenizer
from search_back.encoders.tokens.clip import ClipTokenizer, clip_vocabulary
from search_back.encoders.torch import TorchEncoder
from search_back.errors import ModelUnavailable
from search_back.vectors import normalise
from tests import tiny_models as tiny
from tests.fakes import picture_bytes

pytestmark = pytest.mark.usefixtures("transformers")

FOLDERS: dict[str, Callable[[Path], Path]] = {
    "siglip": tiny.open_clip_siglip,
    "siglip 2": lambda folder: tiny.open_clip_siglip(folder, version=2),
    "worldwide": tiny.open_clip_worldwide,
    "clipa": tiny.open_clip_clipa,
    "xlm-roberta": tiny.open_clip_xlm_roberta,
    "coca of roberta": lambda folder: tiny.open_clip_xlm_roberta(folder, coca=True),
    "coca": tiny.open_clip_coca,
    "mt5": tiny.open_clip_mt5,
    "nllb": tiny.open_clip_nllb,
}
POSITIONS = {
    "siglip": "all",
    "siglip 2": "all",
    "worldwide": "to_end",
    "clipa": "all",
    "xlm-roberta": "unpadded",
    "coca of roberta": "unpadded",
    "coca": "all",
    "mt5": "unpadded",
    "nllb": "unpadded",
}
PICTURES = [picture_bytes(colour, size=(40, 36)) for colour in ("red", "teal", "white")]


@dataclass
class Family:
    source: SourceModel
    clip: Any
    tokenizer: Any
    """open_clip's own."""


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Family]:
    found = {}
    for name, make in FOLDERS.items():
        folder = make(tmp_path_factory.mktemp("family"))
        settings = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
        clip = tiny.open_clip_model(settings, folder)
        tokenizer = open_clip().get_tokenizer(f"local-dir:{folder}")
        found[name] = Family(load_source(parse_name(f"local-dir:{folder}")), clip, tokenizer)
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_texts_are_open_clips(families: dict[str, Family], name: str) -> None:
    family = families[name]
    assert family.source.text_positions == POSITIONS[name]
    encoder = TorchEncoder(family.source, device="cpu")
    with torch.inference_mode():
        expected = normalise(family.clip.encode_text(family.tokenizer(tiny.TEXTS)).numpy())
    assert np.abs(encoder.encode_texts(tiny.TEXTS) - expected).max() <= 1e-5
    for text, row in zip(tiny.TEXTS, expected, strict=True):
        assert np.abs(encoder.encode_texts([text])[0] - row).max() <= 1e-5
    # Vectors that are all alike would agree whatever the tower did.
    assert np.median(expected @ expected.T) < 0.995


@pytest.mark.parametrize("name", FOLDERS)
def test_pictures_are_open_clips(families: dict[str, Family], name: str) -> None:
    family = families[name]
    encoder = TorchEncoder(family.source, device="cpu")
    pixels = np.stack([family.source.preprocessing(picture) for picture in PICTURES])
    with torch.inference_mode():
        expected = normalise(family.clip.encode_image(torch.from_numpy(pixels)).numpy())
    assert np.abs(encoder.encode_images(PICTURES) - expected).max() <= 1e-5


@pytest.mark.parametrize("name", ["siglip", "xlm-roberta", "mt5"])
def test_exports_equal_torch(families: dict[str, Family], tmp_path: Path, name: str) -> None:
    source = families[name].source
    export_encoder(source, tmp_path, samples=Samples(PICTURES, tiny.TEXTS))
    exported, torch_ = ExportedEncoder(tmp_path), TorchEncoder(source, device="cpu")
    assert exported.identity.matches(torch_.identity)
    expected = torch_.encode_texts(tiny.TEXTS)
    one_by_one = np.concatenate([exported.encode_texts([text]) for text in tiny.TEXTS])
    for found in (exported.encode_texts(tiny.TEXTS), one_by_one):
        assert (found * expected).sum(axis=1).min() >= 0.99999
    found = exported.encode_images(PICTURES)
    assert (found * torch_.encode_images(PICTURES)).sum(axis=1).min() >= 0.99999


# Every architecture that open_clip knows


def expected_positions(name: str) -> str:
    if name.startswith(("coca_roberta", "mt5", "nllb", "roberta", "xlm-roberta")):
        return "unpadded"
    whole = ("SigLIP", "CLIPA", "MobileCLIP-S", "MobileCLIP2-S", "MobileCLIP2-L", "coca_")
    return "all" if any(part in name for part in whole) else "to_end"


def architectures() -> dict[str, list[str]]:
    """Their text configurations, as JSON, each with the names that have it."""
    found: dict[str, list[str]] = {}
    for name in open_clip().list_models():
        config = open_clip().get_model_config(name)
        text = dict(config["text_cfg"])
        if "SigLIP" in name:
            text["hf_tokenizer_name"] = "gemma" if "SigLIP2" in name else "c4-en"
        about = {
            "text_cfg": {**text, **tiny.OPEN_CLIP_BLOCKS},
            "custom_text": config.get("custom_text", False),
            "coca": "multimodal_cfg" in config,
        }
        found.setdefault(json.dumps(about, sort_keys=True), []).append(name)
    return found


ARCHITECTURES = architectures()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a tokenizer, and a text tower's `config.json`, of the kind of a name."""
    makers: dict[str, Callable[[Path], Any]] = {
        "mt5": tiny.open_clip_mt5,
        "nllb": tiny.open_clip_nllb,
        "bert-": tiny.bert_tokenizer,
        "roberta": tiny.open_clip_xlm_roberta,
        "xlm-v": tiny.xlm_roberta_tokenizer,
        "gemma": tiny.gemma_tokenizer,
        "c4-en": lambda folder: tiny.t5_tokenizer(folder, pad_token="</s>"),
    }
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        kind = next(kind for kind in makers if kind in name)
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("part")
            makers[kind](made[kind])
        return made[kind]

    return folder


@pytest.mark.parametrize("about", ARCHITECTURES, ids=[names[0] for names in ARCHITECTURES.values()])
def test_every_architecture_runs_what_its_texts_need(
    parts: Callable[[str], Path], about: str
) -> None:
    config = json.loads(about)
    text = config["text_cfg"]
    context = int(text.get("context_length", 77))
    repository = text.get("hf_tokenizer_name")
    folder = parts(repository) if repository else Path()
    if repository:
        # Rows for the published numbers of pieces would be most of the work.
        text["vocab_size"] = 800
    model = {
        "embed_dim": tiny.DIMENSION,
        "vision_cfg": dict(tiny.OPEN_CLIP_VISION),
        "text_cfg": text,
        "custom_text": config["custom_text"],
    }
    if config["coca"]:
        model["multimodal_cfg"] = tiny.COCA_DECODER
    clip = tiny.open_clip_model(model, folder)
    tokenizer: Tokenizer = (
        read_tokenizer(
            folder,
            context_length=context,
            cleaning="open_clip_whitespace",
            blank_end=bool(text.get("tokenizer_kwargs", {}).get("strip_sep_token")),
        )
        if repository
        else ClipTokenizer(clip_vocabulary(), context)
    )
    positions = text_positions(clip, tokenizer)
    assert {expected_positions(name) for name in ARCHITECTURES[about]} == {positions}
    tower = text_tower(clip) if positions == "to_end" else whole_text(clip)
    for sentence in tiny.TEXTS[:5]:
        tokens = tokenizer([sentence])
        missing = context - tokens.ids.shape[1]
        whole = np.pad(tokens.ids, ((0, 0), (0, missing)), constant_values=tokens.pad)
        ids = whole if positions == "all" else tokens.ids
        with torch.inference_mode():
            difference = tower(torch.from_numpy(ids)) - clip.encode_text(torch.from_numpy(whole))
        assert difference.abs().max() <= 1e-5


def test_a_tower_is_run_whole_where_its_end_is_not_known(tmp_path: Path) -> None:
    tiny.xlm_roberta_tokenizer(tmp_path)
    tokenizer = read_tokenizer(tmp_path, context_length=tiny.CONTEXT)
    text = {**tiny.OPEN_CLIP_BLOCKS, "context_length": tiny.CONTEXT, "vocab_size": 400}

    def positions(**changes: Any) -> str:
        model = {
            "embed_dim": 8,
            "vision_cfg": dict(tiny.OPEN_CLIP_VISION),
            "text_cfg": {**text, **changes},
        }
        return text_positions(tiny.open_clip_model(model, tmp_path), tokenizer)

    assert positions(pool_type="eos", eos_id=2) == "to_end"
    # Its end token is not where the tower looks.
    assert positions(pool_type="eos", eos_id=5) == "all"
    # Its end token is not the largest.
    assert positions(pool_type="argmax") == "all"


def test_a_tower_that_masks_another_padding_is_run_whole(
    families: dict[str, Family], tmp_path: Path
) -> None:
    tiny.xlm_roberta_tokenizer(tmp_path)
    tokenizer = read_tokenizer(tmp_path, context_length=77)
    other = read_tokenizer(tmp_path, context_length=77)
    other.pad = 3
    clip = families["xlm-roberta"].clip
    assert (text_positions(clip, tokenizer), text_positions(clip, other)) == ("unpadded", "all")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokenizer_mode": "clips"}, "tokenizer_mode"),
        ({"tokenizer_kwargs": {"clean": "spotless"}}, "spotless"),
        ({"tokenizer_kwargs": {"language": "fr"}}, "language"),
        (
            {"hf_tokenizer_name": None, "tokenizer_kwargs": {"clean": "canonicalize"}},
            "canonicalize",
        ),
    ],
)
def test_settings_of_a_tokenizer_that_are_not_known_are_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folder = tiny.open_clip_worldwide(tmp_path)
    path = folder / "open_clip_config.json"
    about = json.loads(path.read_text())
    about["model_cfg"]["text_cfg"] |= changes
    tiny.write_json(path, about)
    with pytest.raises(ModelUnavailable, match=said):
        load_source(parse_name(f"local-dir:{folder}"))


@pytest.mark.parametrize(
    "absent", ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"]
)
def test_what_a_folder_lacks_is_named(tmp_path: Path, absent: str) -> None:
    folder = tiny.open_clip_worldwide(tmp_path)
    (folder / absent).unlink()
    with pytest.raises(ModelUnavailable, match=absent):
        load_source(parse_name(f"local-dir:{folder}"))


def test_a_text_tower_whose_shape_is_not_known_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search_back.encoders.sources import hub

    monkeypatch.setattr(hub, "_hub_has_an_address", lambda endpoint: False)
    folder = tiny.open_clip_xlm_roberta(tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"config\.json of xlm-roberta-tiny"):
        load_source(parse_name(f"local-dir:{folder}"))


def test_a_tower_of_transformers_without_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.open_clip_xlm_roberta(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"search_back\[hf\]"):
        load_source(parse_name(f"local-dir:{folder}"))
