"""Pictures with equal bytes, encoded once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Final, Generic, TypeVar

import numpy as np

from search_back.files import EMBEDDING_FOLDERS
from search_back.inference.digests import First
from search_back.inference.items import Item, Mark, decode_caption
from search_back.inference.mapper import Batch
from search_back.inference.plan import Plan
from search_back.inference.report import Failure
from search_back.inference.shards import Shard
from search_back.inference.source import Placed
from search_back.vectors import HalfArray, as_stored

# With vectors of 1 KiB each, 64 MiB.
REMEMBERED: Final = 65_536
_DIGEST_BYTES: Final = 16

Value = TypeVar("Value")


def digested(placed: Placed, plan: Plan) -> Placed:
    """The same entry with a mark, where it has a picture that a run of ``plan`` would decode.

    A picture that cannot be read gets none: it fails by itself.
    """
    entry = placed.entry
    if not isinstance(entry, Item) or entry.image is None:
        return placed
    if plan.text and not _has_caption(entry):
        return placed
    try:
        data = entry.image()
    except Exception:
        return placed
    return placed._replace(mark=Mark(hashlib.sha256(data).digest()[:_DIGEST_BYTES]))


class Duplicates:
    """Tells copies from the pictures that were first, and gives them the vectors of those.

    ``mark`` works ahead of the encoder, ``fill`` behind it. Both go by the same rule over the same
    pictures in the same order: the newest ``remembered`` pictures that were first are known, and
    are forgotten in the order they came. So ``fill`` knows each picture that ``mark`` saw, and
    ``restore`` brings both to where they were. For one thread.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._seen: _Newest[None] = _Newest(remembered)
        self._known: _Newest[HalfArray | Failure] = _Newest(remembered)

    def restore(self, shards: Sequence[Shard]) -> None:
        """Go on behind these shards, which are in order; call it first."""
        recent: list[Shard] = []
        missing = self._remembered
        for shard in reversed(shards):
            if missing <= 0:
                break
            recent.append(shard)
            missing -= sum(1 for _ in shard.firsts())
        for shard in reversed(recent):
            vectors = shard.embeddings(EMBEDDING_FOLDERS["image"])
            failures = list(shard.failed())
            for digest, kept, number in shard.firsts():
                self._seen.add(digest, None)
                self._known.add(digest, vectors[number].copy() if kept else failures[number])

    def mark(self, entries: Iterable[Placed]) -> Generator[Placed, None, None]:
        """The same entries; marks say which of them are copies."""
        for placed in entries:
            mark = placed.mark
            if mark is not None and mark.digest in self._seen:
                yield placed._replace(mark=replace(mark, is_copy=True))
                continue
            if mark is not None:
                self._seen.add(mark.digest, None)
            yield placed

    def fill(self, batches: Iterable[Batch]) -> Generator[Batch, None, None]:
        """The same batches; copies have the vectors of the first ones, or fail as they did."""
        for batch in batches:
            yield self._filled(batch) if batch.marked else batch

    def _filled(self, batch: Batch) -> Batch:
        # As they are stored: a run that goes on knows a vector from its shard only.
        image = None if batch.image is None else as_stored(batch.image)
        failures = list(batch.failures)
        lost = np.zeros(len(batch.rows), dtype=np.bool_)
        firsts: list[First] = []
        copies = 0
        for mark, key, row, failure in batch.marked:
            if not mark.is_copy:
                if row is not None:
                    assert image is not None
                    # Rows are lost before this one only: the number is final.
                    number = row - int(np.count_nonzero(lost[:row]))
                    self._known.add(mark.digest, image[row].copy())
                else:
                    assert failure is not None
                    number = failure
                    self._known.add(mark.digest, failures[failure])
                firsts.append(First(mark.digest, row is not None, number))
            elif row is not None:
                assert image is not None
                first = self._known[mark.digest]
                if isinstance(first, Failure):
                    lost[row] = True
                    failures.append(Failure(key, first.stage, first.reason))
                else:
                    image[row] = first
                    copies += 1
        kept = np.logical_not(lost)
        return replace(
            batch,
            rows=[row for row, keep in zip(batch.rows, kept.tolist(), strict=True) if keep],
            image=None if image is None else image[kept],
            text=None if batch.text is None else batch.text[kept],
            failures=failures,
            firsts=firsts,
            duplicates=copies,
        )


class _Newest(Generic[Value]):
    """The newest ``limit`` keys and their values; a key is new once, however often it is asked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[bytes, Value] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        return key in self._values

    def __getitem__(self, key: bytes) -> Value:
        return self._values[key]

    def add(self, key: bytes, value: Value) -> None:
        assert key not in self._values, "a first picture is not known"
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)


def _has_caption(item: Item) -> bool:
    if item.caption is None:
        return False
    try:
        decode_caption(item.caption())
    except Exception:
        return False
    return True
