"""The tokenizer of a model's folder, from the files that transformers writes there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from search_back.encoders.sources.open_clip_import import quiet
from search_back.encoders.sources.open_clip_import import transformers as import_transformers
from search_back.encoders.tokens.cleaning import Cleaning
from search_back.encoders.tokens.library import TOKENIZER_FILE, LibraryTokenizer, PaddingSide
from search_back.errors import CorruptFile, ModelUnavailable
from search_back.files import read_json

HF_REMEDY: Final = "pip install 'search_back[hf]'"
SETTINGS_FILE: Final = "tokenizer_config.json"
_MAP_FILE: Final = "special_tokens_map.json"
# Vocabularies of before tokenizer.json, which transformers knows how to convert.
_OLDER: Final = ("spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt")
TOKENIZER_FILES: Final = (TOKENIZER_FILE, SETTINGS_FILE, _MAP_FILE, *_OLDER, "merges.txt")


def read_tokenizer(
    folder: Path,
    *,
    context_length: int,
    cleaning: Cleaning = "none",
    pad: int | None = None,
    blank_end: bool = False,
) -> LibraryTokenizer:
    """The tokenizer of ``folder``: its ``tokenizer.json``, or an older vocabulary, converted.

    ``pad``: for a folder that names no padding token. Raises ``ModelUnavailable``, which says what
    is missing.
    """
    settings = tokenizer_settings(folder)
    file = folder / TOKENIZER_FILE
    vocabulary: Path | bytes = file if file.is_file() else _converted(folder, settings)
    data = vocabulary if isinstance(vocabulary, bytes) else vocabulary.read_bytes()
    about = _parsed(data, file)
    ids = _ids(about)
    template = _template(settings, ids)
    own = about.get("post_processor") or {}
    if template is not None and template["single"] != own.get("single"):
        vocabulary = json.dumps({**about, "post_processor": template}).encode()
    return LibraryTokenizer(
        vocabulary,
        context_length=context_length,
        pad=_pad(settings, about, ids, pad),
        cleaning=cleaning,
        blank_end=blank_end,
        padding_side=_padding_side(settings, about),
    )


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """``tokenizer_config.json``, and what only ``special_tokens_map.json`` says; maybe empty."""
    found: dict[str, Any] = {}
    for name in (_MAP_FILE, SETTINGS_FILE):
        if (folder / name).is_file():
            found.update(read_json(folder / name))
    return found


def _converted(folder: Path, settings: Mapping[str, Any]) -> bytes:
    if not any((folder / name).is_file() for name in _OLDER):
        raise ModelUnavailable(
            f"{folder} holds no tokenizer",
            remedy=f"put {TOKENIZER_FILE} and {SETTINGS_FILE} there, or {' or '.join(_OLDER)}",
        )
    try:
        transformers = import_transformers()
        with quiet(transformers):
            if str(settings.get("tokenizer_class", "")).startswith("Siglip"):
                # Its own class runs sentencepiece itself; the vocabulary is that of a T5.
                theirs = transformers.T5Tokenizer.from_pretrained(folder, extra_ids=0)
            else:
                theirs = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return str(theirs.backend_tokenizer.to_str()).encode()
    except Exception as error:  # converters raise many classes
        raise ModelUnavailable(
            f"the tokenizer in {folder} cannot be converted to a {TOKENIZER_FILE}",
            value=f"{type(error).__name__}: {error}".splitlines()[0],
            remedy=HF_REMEDY,
        ) from error


def _parsed(data: bytes, file: Path) -> dict[str, Any]:
    try:
        about = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptFile(f"{file} is not valid JSON ({error})", remedy="restore it") from error
    if not isinstance(about, dict):
        raise CorruptFile(f"{file} should hold a JSON object", value=type(about).__name__)
    return about


def _ids(about: Mapping[str, Any]) -> dict[str, int]:
    """Ids of the special tokens by how they are written."""
    return {str(t["content"]): int(t["id"]) for t in about.get("added_tokens") or ()}


def _content(token: object) -> str | None:
    """A token is written as a text, or as an object that holds it."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def _template(settings: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any] | None:
    """The post-processor that the tokenizer's class sets, where it overrules the file's own."""
    if not str(settings.get("tokenizer_class", "")).startswith("Nllb"):
        return None
    end, language = "</s>", str(settings.get("src_lang") or "eng_Latn")
    first, last = ([], [end, language]) if settings.get("legacy_behaviour") else ([language], [end])
    whole = [
        *({"SpecialToken": {"id": token, "type_id": 0}} for token in first),
        {"Sequence": {"id": "A", "type_id": 0}},
        *({"SpecialToken": {"id": token, "type_id": 0}} for token in last),
    ]
    return {
        "type": "TemplateProcessing",
        "single": whole,
        "pair": [*whole, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in (end, language) if t in ids
        },
    }


def _pad(
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    ids: Mapping[str, int],
    fallback: int | None,
) -> int:
    token = _content(settings.get("pad_token"))
    if token is not None and token in ids:
        return ids[token]
    padding = about.get("padding")
    if isinstance(padding, Mapping) and "pad_id" in padding:
        return int(padding["pad_id"])
    if fallback is not None:
        return fallback
    return next((ids[name] for name in ("<pad>", "[PAD]") if name in ids), 0)


def _padding_side(settings: Mapping[str, Any], about: Mapping[str, Any]) -> PaddingSide:
    padding = about.get("padding")
    in_file = padding.get("direction") if isinstance(padding, Mapping) else None
    side = settings.get("padding_side") or in_file or "right"
    return "left" if str(side).lower() == "left" else "right"
