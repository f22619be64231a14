"""What happens to a text before it is cut into tokens, by name."""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeGuard, get_args

Cleaning = Literal[
    "none",
    "lower",
    "siglip",
    "siglip_cased",
    "open_clip_whitespace",
    "open_clip_lower",
    "open_clip_canonicalize",
]
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


def clean(text: str, cleaning: Cleaning) -> str:
    """``text`` as the tokenizer's model knows texts.

    ``siglip``: lower case, no ASCII punctuation, single spaces (big_vision's, as transformers has
    it); ``siglip_cased``: the same with case. The ``open_clip_…`` ones repair mojibake and resolve
    HTML entities first; its ``canonicalize`` also reads ``_`` as a space.
    """
    # Lone surrogates (possible in JSON) have no UTF-8 form.
    return _CLEANINGS[cleaning](text.encode("utf-8", "replace").decode("utf-8"))


def is_cleaning(name: str) -> TypeGuard[Cleaning]:
    """Whether there is a cleaning of that name."""
    return name in get_args(Cleaning)


def _single_spaces(text: str) -> str:
    return " ".join(text.split())


def _unpunctuated(text: str) -> str:
    return _single_spaces(text.translate(_NO_PUNCTUATION))


def repaired(text: str) -> str:
    """``text`` with mojibake repaired and HTML entities resolved, as open_clip does it."""
    if text.isascii() and text.isprintable() and "&" not in text:
        # There is nothing to find, and looking takes longer than cutting into tokens.
        return text
    import ftfy

    return html.unescape(html.unescape(ftfy.fix_text(text)))


_CLEANINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "none": lambda text: text,
    "lower": str.lower,
    "siglip": lambda text: _unpunctuated(text.lower()),
    "siglip_cased": _unpunctuated,
    "open_clip_whitespace": lambda text: _single_spaces(repaired(text)),
    "open_clip_lower": lambda text: _single_spaces(repaired(text)).lower(),
    "open_clip_canonicalize": lambda text: _unpunctuated(repaired(text).replace("_", " ")).lower(),
}
