"""Models of transformers: a folder as its ``save_pretrained`` writes it, or what a hub has.

CLIP and its relatives are pairs of towers; M-CLIP and sentence-transformers' models are texts
alone. Nothing here runs code that comes with a model, and pickles are read for tensors only.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from search_back.encoders.base import TextPositions
from search_back.encoders.names import EncoderSpec
from search_back.encoders.sources import SourceModel
from search_back.encoders.sources.hub import repository_folder
from search_back.encoders.sources.open_clip_import import quiet
from search_back.encoders.sources.open_clip_import import transformers as import_transformers
from search_back.encoders.sources.processor import read_preprocessing
from search_back.encoders.sources.vocabulary import (
    HF_REMEDY,
    TOKENIZER_FILES,
    read_tokenizer,
    tokenizer_settings,
)
from search_back.encoders.sources.weights import weights_digest, weights_files, weights_origin
from search_back.encoders.tokens.cleaning import Cleaning
from search_back.encoders.tokens.library import LibraryTokenizer
from search_back.errors import ModelUnavailable
from search_back.files import read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

MODULES_FILE: Final = "modules.json"
_CONFIGS: Final = ("*.json", "*/config.json", *TOKENIZER_FILES)
# The small layers of sentence-transformers' models come as pickles beside them, at times.
_SAFE: Final = ("model*.safetensors", "*/model*.safetensors", "*_Dense/pytorch_model.bin")
_PICKLED: Final = ("pytorch_model*.bin", "*/pytorch_model*.bin")

# model_type of config.json → the class in transformers.
_PAIRS: Final = {
    "altclip": "AltCLIPModel",
    "chinese_clip": "ChineseCLIPModel",
    "clip": "CLIPModel",
    "metaclip_2": "MetaClip2Model",
    "siglip": "SiglipModel",
}
_NAFLEX: Final = "siglip2"
_MCLIP: Final = "M-CLIP"
# Their text towers mask the padding; SigLIP's reads it; the others are causal.
_MASKING: Final = ("altclip", "chinese_clip")


def load(spec: EncoderSpec) -> SourceModel:
    """The model of that name. Raises ``ModelUnavailable``, which says what is missing."""
    assert spec.repository is not None
    folder = _folder(spec.repository)
    transformers = _transformers(spec.name)
    with quiet(transformers):
        if (folder / MODULES_FILE).is_file():
            from search_back.encoders.sources.text_only import sentence_transformer

            return sentence_transformer(spec.name, folder, transformers)
        config = _config(folder)
        kind = str(config.get("model_type"))
        if kind == _MCLIP:
            from search_back.encoders.sources.text_only import multilingual_clip

            return multilingual_clip(spec.name, folder, transformers)
        if kind in _PAIRS:
            return pair(spec.name, folder, transformers)
    if kind == _NAFLEX:
        raise ModelUnavailable(
            f"{spec.name!r} is a SigLIP 2 of variable resolution (NaFlex), which is not supported",
            value=kind,
            remedy="take one of fixed resolution, e.g. google/siglip2-base-patch16-224",
        )
    raise ModelUnavailable(
        f"{spec.name!r} is no model of pictures and texts that is known",
        value=kind,
        remedy=f"known: {', '.join(_PAIRS)}, {_MCLIP}, sentence-transformers",
    )


def pair(name: str, folder: Path, transformers: ModuleType) -> SourceModel:
    """CLIP or one of its relatives, in ``folder``."""
    config = _config(folder)
    kind = str(config["model_type"])
    files = weights_files(folder)
    model = from_pretrained(getattr(transformers, _PAIRS[kind]), folder, files)
    text = model.config.text_config
    tokenizer = read_tokenizer(
        folder,
        context_length=context_length(text, folder),
        cleaning=_cleaning(kind, folder),
        pad=getattr(text, "pad_token_id", None),
    )
    positions = _text_positions(kind, text, tokenizer)
    tower = _text_tower(model, pad=tokenizer.pad if kind in _MASKING else None)
    scale = getattr(model, "logit_scale", None)
    return SourceModel(
        name=name,
        image=_image_tower(model),
        text=tower,
        whole_text=tower,
        dimension=dimension_of(tower, tokenizer),
        preprocessing=read_preprocessing(folder, siglip=kind == "siglip"),
        tokenizer=tokenizer,
        text_positions=positions,
        weights_sha256=weights_digest(files),
        logit_scale=1.0 if scale is None else float(scale.detach().exp().max()),
        origin=weights_origin(*files),
    )


def from_pretrained(class_: Any, folder: Path, files: list[Path]) -> Any:
    """The model of ``folder`` in float32, ready to run; every weight must be in ``files``.

    But for the pooler of a text tower: nothing here reads what it makes of the first token.
    """
    import torch

    try:
        model, found = class_.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
            trust_remote_code=False,
            use_safetensors=files[0].suffix == ".safetensors",
            weights_only=True,
        )
    except Exception as error:  # transformers raises many classes
        raise ModelUnavailable(
            f"the model in {folder} cannot be loaded",
            value=f"{type(error).__name__}: {error}".splitlines()[0],
            remedy="restore its files",
        ) from error
    absent = sorted(str(key) for key in found["missing_keys"] if "pooler" not in str(key))
    if absent:
        raise ModelUnavailable(
            f"the weights in {folder} are not those of its config.json",
            value=f"{len(absent)} are missing, {absent[0]} among them",
            remedy="restore its files",
        )
    return model.eval()


def context_length(config: Any, folder: Path) -> int:
    """How many tokens a text tower reads: its positions, or fewer where the tokenizer says so."""
    positions = int(config.max_position_embeddings)
    if str(config.model_type).endswith("roberta") or config.model_type == "altclip_text_model":
        # Their positions count from the padding's number on.
        positions -= int(config.pad_token_id) + 1
    asked = tokenizer_settings(folder).get("model_max_length")
    return min(positions, int(asked)) if isinstance(asked, int | float) and asked else positions


def dimension_of(text: nn.Module, tokenizer: LibraryTokenizer) -> int:
    """Of the vectors of a text tower."""
    import torch

    with torch.inference_mode():
        return int(text(torch.from_numpy(tokenizer(["a"]).ids)).shape[-1])


def _transformers(name: str) -> ModuleType:
    try:
        return import_transformers()
    except ImportError as error:
        raise ModelUnavailable(
            f"the model {name!r} is one of transformers, which is not installed",
            value=str(error),
            remedy=HF_REMEDY,
        ) from error


def _folder(repository: str) -> Path:
    """The folder of a repository with all that its model needs; weights in safetensors if any."""
    folder = repository_folder(repository, _CONFIGS)
    if Path(repository).is_dir():
        return folder
    safe = repository_folder(repository, _SAFE)
    if any(safe.glob("model*.safetensors")) or any(safe.glob("0_*/model*.safetensors")):
        return safe
    return repository_folder(repository, _PICKLED)


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(
            f"{folder} holds no model of transformers",
            remedy="give a folder with config.json, weights, and the tokenizer's files",
        )
    return read_json(folder / "config.json")


def _cleaning(kind: str, folder: Path) -> Cleaning:
    if kind != "siglip":
        return "none"
    settings = tokenizer_settings(folder)
    if str(settings.get("tokenizer_class", "")).startswith("SiglipTokenizer"):
        return "siglip" if settings.get("do_lower_case", True) else "siglip_cased"
    # SigLIP 2, which was trained on texts in lower case; its vocabulary is Gemma's.
    return "lower"


def _text_positions(kind: str, config: Any, tokenizer: LibraryTokenizer) -> TextPositions:
    if kind == "siglip":
        return "all"
    if kind in _MASKING:
        return "unpadded" if tokenizer.pads_right_with(tokenizer.pad) else "all"
    end = config.eos_token_id
    if kind == "clip" and end == 2:
        # Configurations of before 2023 say 2 and mean the largest id.
        return "to_end" if tokenizer.ends_on_largest else "all"
    return "to_end" if tokenizer.end == end else "all"


def _image_tower(model: Any) -> nn.Module:
    from torch import nn

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: Tensor) -> Tensor:
            return _features(self.model.get_image_features(pixel_values=pixel_values))

    return Image().eval()


def _text_tower(model: Any, *, pad: int | None) -> nn.Module:
    """``pad``: the id that is masked; None: nothing is."""
    from torch import nn

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor) -> Tensor:
            mask = {} if pad is None else {"attention_mask": input_ids.ne(pad).long()}
            return _features(self.model.get_text_features(input_ids=input_ids, **mask))

    return Text().eval()


def _features(output: Any) -> Tensor:
    """Older releases give the features, newer ones all outputs with the features among them."""
    features: Tensor = getattr(output, "pooler_output", output)
    return features
