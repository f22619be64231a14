"""Text towers that were trained to fit another model's pictures: multilingual ones, mostly."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.sources import SourceModel
from search_back.encoders.sources.hub import REMEDY, absent_hub_does_not_wait
from search_back.encoders.sources.hugging_face import (
    MODULES_FILE,
    context_length,
    dimension_of,
    from_pretrained,
    pair,
)
from search_back.encoders.sources.text_configs import text_config
from search_back.encoders.sources.vocabulary import read_tokenizer
from search_back.encoders.sources.weights import (
    read_weights,
    weights_digest,
    weights_files,
    weights_origin,
)
from search_back.encoders.tokens.library import LibraryTokenizer
from search_back.errors import CorruptFile, ModelUnavailable
from search_back.files import read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

_POOLINGS: Final = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def multilingual_clip(name: str, folder: Path, transformers: ModuleType) -> SourceModel:
    """M-CLIP: the mean of a transformer's last layer, then one linear map.

    ``modelBase`` of its ``config.json`` names the transformer's shape: a folder (in ``folder``, or
    anywhere), one of the known names, or one that a hub knows.
    """
    from torch import nn

    about = read_json(folder / "config.json")
    try:
        base, width = str(about["modelBase"]), int(about["transformerDimensions"])
        dimension = int(about["numDims"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(
            f"{folder / 'config.json'} describes no M-CLIP", value=repr(error)
        ) from error
    config = _base_config(base, folder, transformers)
    files = weights_files(folder)
    transformer = transformers.AutoModel.from_config(config)
    linear = nn.Linear(width, dimension)
    both = nn.ModuleDict({"transformer": transformer, "LinearTransformation": linear})
    # Positions were saved as weights once; they are no weights.
    tensors = {k: v for k, v in read_weights(files).items() if not k.endswith("position_ids")}
    try:
        absent, more = both.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        absent, more = [str(error).splitlines()[-1].strip()], []
    # Nothing reads what a pooler makes of the first token.
    wrong = [key for key in (*absent, *more) if "pooler" not in key]
    if wrong:
        raise ModelUnavailable(
            f"the weights in {folder} are not those of an M-CLIP on {base}", value=wrong[0]
        )
    return _source(name, folder, files, transformer, pooling="mean", layers=[linear])


def sentence_transformer(name: str, folder: Path, transformers: ModuleType) -> SourceModel:
    """A model of sentence-transformers: transformer, pooling, and linear layers after it."""
    steps = _steps(folder)
    kinds = [kind for kind, _ in steps]
    if kinds[:1] == ["CLIPModel"]:
        return pair(name, steps[0][1], transformers)
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}:
        raise ModelUnavailable(
            f"{name!r} is a model of sentence-transformers of an unknown kind",
            value=", ".join(kinds),
            remedy="known: Transformer, Pooling, then any number of Dense",
        )
    first = steps[0][1]
    files = weights_files(first)
    transformer = from_pretrained(transformers.AutoModel, first, files)
    layers: list[nn.Module] = []
    for kind, place in steps[2:]:
        if kind == "Dense":
            more = weights_files(place)
            layers += _dense(place, more)
            files += more
    return _source(name, first, files, transformer, pooling=_pooling(steps[1][1]), layers=layers)


def _source(
    name: str,
    folder: Path,
    files: list[Path],
    transformer: Any,
    *,
    pooling: str,
    layers: list[nn.Module],
) -> SourceModel:
    config = transformer.config
    length = context_length(config, folder)
    about = folder / "sentence_bert_config.json"
    settings = read_json(about) if about.is_file() else {}
    asked = settings.get("max_seq_length")
    tokenizer = read_tokenizer(
        folder,
        context_length=min(length, int(asked)) if asked else length,
        cleaning="lower" if settings.get("do_lower_case") else "none",
        pad=config.pad_token_id,
    )
    if not tokenizer.pads_right_with(tokenizer.pad):
        raise ModelUnavailable(f"the tokenizer in {folder} pads on the left")
    tower = _tower(transformer, layers, pad=tokenizer.pad, mean=pooling == "mean")
    return SourceModel(
        name=name,
        image=None,
        text=tower,
        whole_text=tower,
        dimension=_checked_dimension(tower, tokenizer, folder),
        preprocessing=Preprocessing(),
        tokenizer=tokenizer,
        text_positions="unpadded",
        weights_sha256=weights_digest(files),
        origin=weights_origin(*files),
    )


def _tower(transformer: Any, layers: list[nn.Module], *, pad: int, mean: bool) -> nn.Module:
    from torch import nn

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer
            self.layers = nn.Sequential(*layers)

        def forward(self, input_ids: Tensor) -> Tensor:
            mask = input_ids.ne(pad).long()
            hidden = self.transformer(input_ids=input_ids, attention_mask=mask).last_hidden_state
            if mean:
                weights = mask.unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
            else:
                pooled = hidden[:, 0]
            features: Tensor = self.layers(pooled)
            return features

    return Text().eval()


def _checked_dimension(tower: nn.Module, tokenizer: LibraryTokenizer, folder: Path) -> int:
    try:
        return dimension_of(tower, tokenizer)
    except (RuntimeError, IndexError) as error:  # layers that do not fit one another
        raise ModelUnavailable(
            f"the parts of the model in {folder} do not fit", value=str(error).splitlines()[0]
        ) from error


def _base_config(base: str, folder: Path, transformers: ModuleType) -> Any:
    inside = folder / base
    config = text_config(base, inside if inside.is_dir() else Path(base))
    if config is not None:
        return transformers.AutoConfig.for_model(**config)
    try:
        with absent_hub_does_not_wait():
            return transformers.AutoConfig.from_pretrained(base, trust_remote_code=False)
    except Exception as error:  # transformers and the hub's client raise many classes
        raise ModelUnavailable(
            f"the shape of {base!r}, which the model in {folder} is built on, is not known",
            value=f"{type(error).__name__}: {error}".splitlines()[0],
            remedy=f"put its config.json at {inside / 'config.json'}; or {REMEDY}",
        ) from error


def _steps(folder: Path) -> list[tuple[str, Path]]:
    """Kinds and folders of the modules, in order."""
    file = folder / MODULES_FILE
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
        return [(str(m["type"]).rpartition(".")[2], folder / str(m["path"])) for m in modules]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(
            f"{file} does not list the parts of a model", value=repr(error)
        ) from error


def _pooling(folder: Path) -> str:
    about = read_json(folder / "config.json")
    modes = [_POOLINGS.get(key, key) for key, on in about.items() if _is_mode(key) and on is True]
    asked = about.get("pooling_mode")
    if isinstance(asked, str):
        modes = [asked]
    if modes not in (["mean"], ["cls"]):
        raise ModelUnavailable(
            f"{folder} asks for a pooling that is not known",
            value=", ".join(modes),
            remedy="known: mean, cls",
        )
    return modes[0]


def _is_mode(key: str) -> bool:
    return key.startswith("pooling_mode_")


def _dense(folder: Path, files: list[Path]) -> list[nn.Module]:
    from torch import nn

    about = read_json(folder / "config.json")
    activation = str(about.get("activation_function", "Tanh")).rpartition(".")[2]
    known: dict[str, type[nn.Module]] = {
        "Identity": nn.Identity,
        "Tanh": nn.Tanh,
        "GELU": nn.GELU,
        "ReLU": nn.ReLU,
    }
    try:
        layer = nn.Linear(
            int(about["in_features"]), int(about["out_features"]), bool(about.get("bias", True))
        )
        layer.load_state_dict(
            {key.removeprefix("linear."): v for key, v in read_weights(files).items()}
        )
        return [layer.float(), known[activation]()]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(
            f"{folder} holds no linear layer that is known", value=str(error).splitlines()[0]
        ) from error
