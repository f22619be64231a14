"""Several terms with weights in one line: ``2:golden retriever + ./pool.jpg - leash``.

Terms stand between signs. A sign is a ``+`` or ``-`` with a blank or an end of the line on both
sides, so ``well-known`` and ``-leash`` are words; one may stand before the first term. A term is

- ``2:golden retriever``: with a weight, a decimal number of at most ``MOST`` straight before it. A
  colon that a blank or a digit follows makes no weight: ``3:4 aspect ratio`` and
  ``2001: a space odyssey`` are words, and three dogs of weight 2 are ``2:"3 dogs"``;
- ``#543`` or ``id:543``: an item of the index;
- ``https://…`` or ``http://…`` without blanks: an address;
- what starts with ``./``, ``../``, ``/``, ``~/`` or a drive (``C:\\`` or ``C:/``) and ends as the
  name of a picture does: a path. ``path:"…"`` is one whatever stands in the quotes;
- ``"…"``: words as they stand, where two quotes stand for one. Quotes that more words follow are
  words themselves, and protect a sign in them;
- anything else: words.

So a line of ordinary words is one text of weight 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from search_back.errors import InvalidField

Kind = Literal["text", "path", "url", "id"]

MOST = 1000.0
_MOST_ID = 2**63 - 1

_SIGN = re.compile(r"(?<!\S)[+-](?!\S)")
_WEIGHT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+):(?=[^\s\d])")
_QUOTED = re.compile(r'(path:)?"((?:[^"]|"")*)"(?!")', re.IGNORECASE)
_OPENING = re.compile(r'(?:path:)?"', re.IGNORECASE)
_STOP = re.compile(r"\s+[+-](?!\S)|\s*\Z")  # what ends a term after its quotes
_ID = re.compile(r"(?:#|id:)([0-9]+)", re.IGNORECASE)
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_PATH = re.compile(
    r"(?:\.{1,2}/|/|~/|[a-z]:[/\\]).*\."
    r"(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|svg)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a query; ``value`` of an item is its number in digits."""

    kind: Kind
    value: str
    weight: float = 1.0


def parse_query(text: str) -> tuple[Part, ...]:
    """The parts of a line, one at least. Raises ``InvalidField`` for ``query`` with the place."""
    return tuple(parts_of(text))


def parts_of(text: str) -> Iterator[Part]:
    """The same one after another, for those who stop before the end of a line of millions."""
    sign, start = 1, _blanks(text, 0)
    if start == len(text):
        raise _invalid("the query is empty", text, 0, "write what to look for")
    if leading := _SIGN.match(text, start):
        sign, start = _sign(leading), _blanks(text, leading.end())
    while True:
        stop, part = _term(text, start, sign)
        yield part
        following = _SIGN.match(text, _blanks(text, stop))
        if following is None:
            return
        sign, start = _sign(following), _blanks(text, following.end())


def format_query(parts: Sequence[Part]) -> str:
    """The line that :func:`parse_query` reads as these parts.

    Raises ``InvalidField`` for a part that no line can tell: an address with blanks, a weight
    that is too large.
    """
    line = ""
    for part in parts:
        minus = part.weight < 0
        if line:
            line += " - " if minus else " + "
        elif minus:
            line = "- "
        line += _written(Part(part.kind, part.value, abs(part.weight)))
    return line


def _term(text: str, start: int, sign: int) -> tuple[int, Part]:
    """The term at ``start``, and where it stops."""
    here = start
    weight = 1.0
    if found := _WEIGHT.match(text, start):
        weight = float(found[1])
        here = found.end()
        if weight > MOST:
            raise _invalid(
                f"a weight is above {MOST:g}", text, start, "use a smaller one, or quote the words"
            )
    weight = sign * weight or 0.0  # never -0.0
    quoted = _QUOTED.match(text, here)
    if quoted is None and _OPENING.match(text, here):
        raise _invalid("a quote is not closed", text, here, 'close it, or write "" for a quote')
    if quoted is not None and _STOP.match(text, quoted.end()):
        value = quoted[2].replace('""', '"')
        if not value.strip():
            raise _invalid("the quotes are empty", text, here, "write something between them")
        return quoted.end(), Part("path" if quoted[1] else "text", value, weight)
    sign_after = _SIGN.search(text, quoted.end() if quoted else here)
    stop = sign_after.start() if sign_after else len(text)
    value = text[here:stop].strip()
    if not value:
        raise _invalid("a term is missing", text, start, "write one, or quote a sign that is meant")
    kind, value = _kind(value, text, here)
    return stop, Part(kind, value, weight)


def _kind(value: str, text: str, here: int) -> tuple[Kind, str]:
    if item := _ID.fullmatch(value):
        if len(item[1]) > 19 or int(item[1]) > _MOST_ID:
            raise _invalid("no item has so large an id", text, here, "quote it if words are meant")
        return "id", item[1]
    if _URL.fullmatch(value):
        return "url", value
    if _PATH.fullmatch(value):
        return "path", value
    return "text", value


def _written(part: Part) -> str:
    """One part of a weight not below 0: as it stands where that is read as this part, or quoted."""
    weight = "" if part.weight == 1 else f"{Decimal(repr(part.weight)):f}".removesuffix(".0") + ":"
    quoted = '"' + part.value.replace('"', '""') + '"'
    ways = {
        "text": (part.value, quoted),
        "path": (part.value, f"path:{quoted}"),
        "url": (part.value,),
        "id": (f"#{part.value}",),
    }
    for way in ways[part.kind]:
        try:
            if parse_query(weight + way) == (part,):
                return weight + way
        except InvalidField:
            continue
    raise InvalidField("query", f"no line can tell this {part.kind}", value=part)


def _sign(found: re.Match[str]) -> int:
    return -1 if found[0] == "-" else 1


def _blanks(text: str, start: int) -> int:
    """Where the blanks at ``start`` end."""
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _invalid(what: str, text: str, position: int, remedy: str) -> InvalidField:
    return InvalidField("query", f"{what} (character {position + 1})", value=text, remedy=remedy)
