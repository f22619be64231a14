"""Cleaning only as much of a long text as a tokenizer can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# ftfy repairs line by line, and a longer line in parts of this many characters.
_LINE: Final = 1_000_000


def clean_start(text: str, clean: Callable[[str], str], enough: int) -> str:
    """``clean(text)``, or a start of it that has more than ``enough`` characters beside blanks.

    ``clean`` treats lines alone and leaves single blanks. ``enough``: how many characters the ids
    that fit into the context can stand for. The cut is at a blank, so that every id before it
    stays; a word that goes on beyond twice ``enough`` is cut within, far behind the last id read.
    """
    most = 4 * enough
    size = most
    while True:
        start = _whole_lines(text, size)
        cleaned = clean(start)
        if len(start) == len(text) or len(cleaned) > most:
            break
        size *= 4
    if len(cleaned) <= most:
        return cleaned
    blank = cleaned.rfind(" ", 2 * enough, most)
    return cleaned[: most if blank < 0 else blank]


def _whole_lines(text: str, least: int) -> str:
    """The first lines of ``text``, at least so many characters."""
    end = 0
    while end < min(least, len(text)):
        line = text.find("\n", end) + 1 or len(text)
        end = min(line, end + _LINE)
    return text[:end]
