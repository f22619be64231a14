"""open_clip's models: from a hub tag, a checkpoint file, or a ``local-dir:`` folder."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search_back.encoders.base import TextPositions
from search_back.encoders.names import EncoderSpec
from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.sources import SourceModel, needs_torch
from search_back.encoders.sources.hub import absent_hub_does_not_wait, repository_folder
from search_back.encoders.sources.open_clip_import import open_clip as import_open_clip
from search_back.encoders.sources.text_configs import text_config
from search_back.encoders.sources.towers import (
    image_tower,
    is_causal,
    text_tower,
    whole_image,
    whole_text,
)
from search_back.encoders.sources.vocabulary import HF_REMEDY, TOKENIZER_FILES, read_tokenizer
from search_back.encoders.sources.weights import weights_digest, weights_origin
from search_back.encoders.tokens import Tokenizer
from search_back.encoders.tokens.cleaning import is_cleaning
from search_back.encoders.tokens.clip import VOCABULARY_FILE, ClipTokenizer, clip_vocabulary
from search_back.encoders.tokens.library import LibraryTokenizer
from search_back.errors import ModelUnavailable
from search_back.files import read_json, write_json

if TYPE_CHECKING:
    from torch import nn

LOCAL_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_LOCAL: Final = "local-dir:"
_HUB: Final = "hf-hub:"
_REPOSITORY_FILES: Final = ("*.json", "*.txt", "*.model", *LOCAL_WEIGHTS)
# open_clip's own, for a text configuration that does not say.
_CONTEXT_LENGTH: Final = 77


def load(spec: EncoderSpec) -> SourceModel:
    """The model of that name. Raises ``ModelUnavailable``, which says what is missing."""
    assert spec.architecture is not None
    if spec.architecture.startswith(_HUB):
        fetched = repository_folder(spec.architecture.removeprefix(_HUB), _REPOSITORY_FILES)
        spec = replace(spec, architecture=f"{_LOCAL}{fetched}")
    assert spec.architecture is not None
    try:
        open_clip = import_open_clip()
    except ImportError as error:
        raise needs_torch(spec.name, error) from error
    weights = _weights_file(open_clip, spec.name, spec.architecture, spec.pretrained)
    folder = _local_folder(spec.architecture)
    text = _text_settings(open_clip, spec.architecture)
    try:
        with absent_hub_does_not_wait(), _without_asking(spec.name, text, folder) as changes:
            clip = open_clip.create_model(spec.architecture, pretrained=spec.pretrained, **changes)
    except ModelUnavailable:
        raise
    except Exception as error:  # open_clip passes on whatever its many loaders raise
        raise _cannot_load(spec.name, error, text.get("hf_model_name")) from error
    clip = _traceable(clip.eval().float())
    tokenizer = _tokenizer(text, folder, pad=padding_id(clip))
    positions = text_positions(clip, tokenizer)
    whole = whole_text(clip)
    scale = getattr(clip, "logit_scale", None)
    return SourceModel(
        name=spec.name,
        image=image_tower(clip),
        text=text_tower(clip) if positions == "to_end" else whole,
        whole_text=whole,
        whole_image=whole_image(clip),
        dimension=_dimension(whole, tokenizer),
        preprocessing=Preprocessing.from_json(dict(open_clip.get_model_preprocess_cfg(clip))),
        tokenizer=tokenizer,
        text_positions=positions,
        weights_sha256=weights_digest([weights]),
        logit_scale=1.0 if scale is None else float(scale.detach().exp().max()),
        origin=weights_origin(weights),
    )


def text_positions(clip: Any, tokenizer: Tokenizer) -> TextPositions:
    """Which positions the text tower of an open_clip model must run.

    A causal one runs to the end token, if that is where it reads its feature: at the largest id,
    or at a fixed one. A transformers model masks the padding, if the tokenizer pads with the id
    that it masks. All others read every position.
    """
    padding = padding_id(clip)
    if padding is not None:
        matches = isinstance(tokenizer, LibraryTokenizer) and tokenizer.pads_right_with(padding)
        return "unpadded" if matches else "all"
    if not is_causal(clip):
        return "all"
    if isinstance(tokenizer, ClipTokenizer):
        largest, end = True, tokenizer.end
    elif isinstance(tokenizer, LibraryTokenizer) and tokenizer.end is not None:
        largest, end = tokenizer.ends_on_largest, tokenizer.end
    else:
        return "all"
    part = getattr(clip, "text", clip)
    pool = getattr(clip, "text_pool_type", getattr(part, "pool_type", None))
    fixed = getattr(clip, "text_eos_id", getattr(part, "eos_id", None))
    return "to_end" if (largest if pool == "argmax" else end == fixed) else "all"


def padding_id(clip: Any) -> int | None:
    """The id that a text tower from transformers masks; None for open_clip's own towers."""
    text = getattr(clip, "text", None)
    config = getattr(text, "config", None)
    return None if config is None else getattr(config, "pad_token_id", None)


def _traceable(clip: Any) -> Any:
    """``clip`` such that its towers can be exported."""
    transformer: Any = getattr(getattr(clip, "text", None), "transformer", None)
    if getattr(getattr(transformer, "config", None), "model_type", None) == "mt5":
        # With its position bias torch's fused attention gives a layout that the exporter refuses.
        transformer.set_attn_implementation("eager")
    return clip


def _local_folder(architecture: str) -> Path | None:
    return Path(architecture.removeprefix(_LOCAL)) if architecture.startswith(_LOCAL) else None


def _text_settings(open_clip: Any, architecture: str) -> dict[str, Any]:
    """``text_cfg`` of an architecture."""
    folder = _local_folder(architecture)
    if folder is None:
        return dict(open_clip.get_model_config(architecture)["text_cfg"])
    file = folder / "open_clip_config.json"
    if not file.is_file():
        raise ModelUnavailable(f"{folder} holds no {file.name}", remedy="put it there")
    try:
        return dict(read_json(file)["model_cfg"]["text_cfg"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(
            f"{file} has no model_cfg with a text_cfg", value=repr(error)
        ) from error


@contextlib.contextmanager
def _without_asking(
    name: str, text: Mapping[str, Any], folder: Path | None
) -> Iterator[dict[str, Any]]:
    """What makes open_clip build a text tower of transformers without a hub, where it can.

    Its weights are in the checkpoint; what it asks for is its shape.
    """
    base = text.get("hf_model_name")
    if not base:
        yield {}
        return
    if importlib.util.find_spec("transformers") is None:
        raise ModelUnavailable(
            f"the text tower of {name!r} is a model of transformers, which is not installed",
            remedy=HF_REMEDY,
        )
    config = text_config(base, folder)
    if config is None:
        yield {}
        return
    with tempfile.TemporaryDirectory() as place:
        write_json(Path(place) / "config.json", config)
        yield {"text_cfg": {**text, "hf_model_name": place, "hf_model_pretrained": False}}


def _tokenizer(text: Mapping[str, Any], folder: Path | None, *, pad: int | None) -> Tokenizer:
    length = int(text.get("context_length", _CONTEXT_LENGTH))
    asked = dict(text.get("tokenizer_kwargs") or {})
    repository = text.get("hf_tokenizer_name")
    if text.get("tokenizer_mode"):
        asked["tokenizer_mode"] = text["tokenizer_mode"]
    cleaning = f"open_clip_{asked.get('clean', 'whitespace' if repository else 'lower')}"
    known = ("clean", "strip_sep_token") if repository else ("clean",)
    if (
        not is_cleaning(cleaning)
        or asked.keys() - set(known)
        or not (repository or cleaning == "open_clip_lower")
    ):
        raise ModelUnavailable("the model's tokenizer has settings that are not known", value=asked)
    if not repository:
        own = None if folder is None else folder / VOCABULARY_FILE
        found = own if own is not None and own.is_file() else clip_vocabulary()
        return ClipTokenizer(found, length)
    return read_tokenizer(
        folder or repository_folder(repository, TOKENIZER_FILES),
        context_length=length,
        cleaning=cleaning,
        pad=pad,
        blank_end=bool(asked.get("strip_sep_token", False)),
    )


def _weights_file(open_clip: Any, name: str, architecture: str, pretrained: str | None) -> Path:
    folder = _local_folder(architecture)
    if folder is not None:
        for file in LOCAL_WEIGHTS:
            if (folder / file).is_file():
                return folder / file
        raise ModelUnavailable(f"{folder} holds no weights", remedy=f"put {LOCAL_WEIGHTS[0]} there")
    if pretrained is not None and Path(pretrained).is_file():
        return Path(pretrained)
    if architecture not in open_clip.list_models():
        raise ModelUnavailable(
            f"open_clip knows no architecture {architecture!r}",
            value=name,
            remedy="see open_clip.list_models()",
        )
    config = open_clip.get_pretrained_cfg(architecture, pretrained) if pretrained else None
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise ModelUnavailable(
            f"{architecture} has no weights {pretrained!r}",
            remedy=f"give a checkpoint file, or one of {', '.join(tags) or 'none'}",
        )
    try:
        with absent_hub_does_not_wait():
            return Path(open_clip.download_pretrained(config))
    except Exception as error:  # hub clients raise many classes
        raise _cannot_load(name, error) from error


def _dimension(text: nn.Module, tokenizer: Tokenizer) -> int:
    import torch

    ids = tokenizer(["a"]).ids
    padded = np.pad(ids, ((0, 0), (0, tokenizer.context_length - ids.shape[1])))
    with torch.inference_mode():
        return int(text(torch.from_numpy(padded)).shape[-1])


def _cannot_load(name: str, error: Exception, base: str | None = None) -> ModelUnavailable:
    remedy = (
        "without a model hub give a checkpoint file "
        "(--clip-model open_clip:ViT-B-32//path/to/model.pt), or try --clip-model emoji"
    )
    if base:
        remedy = (
            "without a model hub give local-dir:FOLDER, with open_clip_config.json, "
            f"{LOCAL_WEIGHTS[0]}, the tokenizer's files and the config.json of {base} in it"
        )
    return ModelUnavailable(
        f"the model {name!r} cannot be loaded",
        value=f"{type(error).__name__}: {error}".splitlines()[0],
        remedy=remedy,
    )
