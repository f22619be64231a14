"""What a shard remembers of the pictures whose bytes came for the first time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_RECORD: Final = struct.Struct("<16s?I")


class First(NamedTuple):
    """A picture whose bytes had not come before.

    ``digest``: 16 bytes. ``number``: of its row where it is ``kept``, else of the failure that it
    ended in; both count from the start of their batch, or of their shard.
    """

    digest: bytes
    kept: bool
    number: int


def pack(firsts: Iterable[First], *, rows: int, failures: int) -> bytes:
    """The firsts of a batch, which follows so many rows and failures of its shard."""
    return b"".join(
        _RECORD.pack(digest, kept, number + (rows if kept else failures))
        for digest, kept, number in firsts
    )


def unpack(data: bytes) -> Iterator[First]:
    return map(First._make, _RECORD.iter_unpack(data))
