"""Shapes of the text towers that multilingual models are built on.

A checkpoint holds a tower's weights, and of its shape often only the name of the model that the
training began with, which a hub would be asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from search_back.files import read_json

# As published with each: facebookresearch's RoBERTa and XLM-R.
_ROBERTA: Final = {
    "architectures": ["RobertaModel"],
    "model_type": "roberta",
    "vocab_size": 50265,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-05,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_XLM_ROBERTA: Final = {
    **_ROBERTA,
    "architectures": ["XLMRobertaModel"],
    "model_type": "xlm-roberta",
    "vocab_size": 250002,
}
_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "roberta-base": _ROBERTA,
    "xlm-roberta-base": _XLM_ROBERTA,
    "xlm-roberta-large": {
        **_XLM_ROBERTA,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}
_TOWERS: Final = ("bert", "distilbert", "m2m_100", "mt5", "roberta", "xlm-roberta")


def text_config(name: str, folder: Path | None) -> dict[str, Any] | None:
    """The ``config.json`` of a text tower: the one in ``folder``, or what is known of ``name``.

    None where there is neither; one of a whole CLIP model does not count.
    """
    if folder is not None and (folder / "config.json").is_file():
        config = read_json(folder / "config.json")
        if config.get("model_type") in _TOWERS:
            return config
    known = _KNOWN.get(name.removeprefix("FacebookAI/"))
    return None if known is None else dict(known)
