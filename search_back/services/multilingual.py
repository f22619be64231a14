"""The second encoder of texts: one for the languages that the first does not know."""

from __future__ import annotations

from typing import Final

from search_back.config import DEFAULT_TEXT_MODEL
from search_back.encoders import parse_name
from search_back.errors import ConfigError

USE_MCLIP: Final = "use_mclip"


def text_model_name(name: str | None) -> str:
    """An encoder's name in full; one of no known form is a model hub's, or a folder."""
    name = name or DEFAULT_TEXT_MODEL
    try:
        parse_name(name)
    except ConfigError:
        return f"hf:{name}"
    return name
