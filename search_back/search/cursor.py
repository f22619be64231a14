"""Cursors: where the next page of a result begins, as a text that clients hand back as it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass

import numpy as np

from search_back.errors import InvalidField
from search_back.types import Query

# What changes how much of a result is shown, and nothing of its hits and their order.
_SHOWN = frozenset({"k", "metadata_k", "columns", "facets", "fill", "cursor"})
_FORMAT = b"cursor 1\n"  # sealed with every cursor, so that one of another format is foreign
_MAC_BYTES = 16
_LONGEST = 2048


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins.

    ``version``: of the snapshot; ``query``: its :func:`query_hash`; ``offset``: how many hits were
    shown before; ``last_id`` and ``last_similarity``: of the last of them; ``candidates``: how many
    nearest neighbours the search looked at for them, so that it need not find out again.
    """

    version: str
    query: str
    offset: int
    last_id: int
    last_similarity: float
    candidates: int


class CursorSeal:
    """Turns cursors into url-safe text and back, and knows its own.

    ``secret``: shared by the processes that serve one address; a random one where it is not
    given, whose cursors end with the process. Safe to call from several threads.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secrets.token_bytes(32) if secret is None else secret

    def write(self, cursor: Cursor) -> str:
        values = [getattr(cursor, field.name) for field in fields(cursor)]
        payload = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
        return _text(self._mac(payload) + payload)

    def read(self, text: str, *, version: str, query: str) -> Cursor:
        """The cursor of a text for that snapshot and query.

        Raises ``InvalidField`` for ``cursor`` where it was altered or made elsewhere, where the
        index has changed since, or where it belongs to another query.
        """
        cursor = self._opened(text)
        if cursor.version != version:
            raise InvalidField(
                "cursor",
                "the index has changed since the page before",
                remedy="ask for the first page again",
            )
        if cursor.query != query:
            raise InvalidField(
                "cursor",
                "the cursor belongs to another query",
                remedy="send it with the query that gave it, unchanged, or without a cursor",
            )
        return cursor

    def _opened(self, text: str) -> Cursor:
        try:
            if len(text) > _LONGEST:
                raise ValueError
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(payload)) or _text(sealed) != text:
                raise ValueError
        except ValueError:
            raise InvalidField(
                "cursor",
                "the cursor was altered, or another server made it",
                value=text,
                remedy="send it as it came, or ask for the first page again",
            ) from None
        return Cursor(*json.loads(payload))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, _FORMAT + payload, "sha256")[:_MAC_BYTES]


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def query_hash(query: Query, **settings: object) -> str:
    """32 hex digits, equal only for queries of equal hits in equal order.

    Covers every field of the query but those of ``_SHOWN``, and ``settings``: what else changes
    the result (the key of the encoder, a default of the server). Terms count as they were asked,
    so it is known before any of them is encoded. Raises ``TypeError`` for a value of a kind whose
    content it does not know.
    """
    asked = {f.name: getattr(query, f.name) for f in fields(query) if f.name not in _SHOWN}
    return hashlib.sha256(_bytes({"query": asked, "settings": settings})).hexdigest()[:32]


def _bytes(value: object) -> bytes:
    """A value's content so that no two values share it: its kind, its length, its parts."""
    kind = type(value).__name__
    if value is None or isinstance(value, bool | int | float | str):
        content = repr(value).encode()
    elif isinstance(value, bytes):
        content = value
    elif isinstance(value, np.ndarray):
        content = _bytes((value.dtype.str, value.shape, value.tobytes()))
    elif isinstance(value, tuple | list):
        kind = "sequence"
        content = b"".join(map(_bytes, value))
    elif isinstance(value, frozenset | set):
        kind = "set"
        content = b"".join(sorted(map(_bytes, value)))
    elif isinstance(value, Mapping):
        kind = "mapping"
        content = b"".join(sorted(_bytes((key, value[key])) for key in value))
    elif is_dataclass(value):
        content = _bytes({field.name: getattr(value, field.name) for field in fields(value)})
    else:
        raise TypeError(f"a query's hash cannot cover a {kind}")
    return f"{kind}:{len(content)}:".encode() + content
