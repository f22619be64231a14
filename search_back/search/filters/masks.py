"""Which rows of a store pass a filter, worked out batch by batch and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from typing import Final

import numpy as np
import pyarrow as pa

from search_back.interfaces import CacheObserver, MetadataStore, nobody_looks
from search_back.search.filters.filter import Filter
from search_back.types import IdArray, IdMask

BATCH_ROWS: Final = 1 << 16
_ENTRY_BYTES: Final = 512
"""What an entry takes beside its bits and its text."""


def passing(filter_: Filter, store: MetadataStore, *, batch_rows: int = BATCH_ROWS) -> IdMask:
    """The ids whose rows pass. Reads the columns of the filter only, ``batch_rows`` at a time."""
    rows, columns = len(store), filter_.columns
    bits = np.zeros(-(-rows // 8), np.uint8)
    count = 0
    # Whole bytes of bits a batch.
    for ids in _runs(rows, -(-batch_rows // 8) * 8):
        # A store without columns has tables without rows: ids need none.
        table = store.take(ids, columns) if columns else pa.table({"": pa.nulls(len(ids))})
        part = IdMask.of(filter_.mask(table, int(ids[0])))
        start = int(ids[0]) // 8
        bits[start : start + len(part.bits)] = part.bits
        count += part.count
    return IdMask(bits, rows, count)


class FilterCache:
    """The masks of the last filters, in at most ``max_bytes``. Thread-safe.

    Threads that ask for the same mask at once wait for the one that works it out.
    """

    def __init__(self, max_bytes: int, observer: CacheObserver = nobody_looks) -> None:
        self._most = max_bytes
        self._observer = observer
        self._bytes = 0
        self._known: OrderedDict[Hashable, tuple[IdMask, int]] = OrderedDict()
        self._running: dict[Hashable, Future[IdMask]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def bytes(self) -> int:
        """What the masks take."""
        return self._bytes

    def passing(
        self,
        filter_: Filter,
        store: MetadataStore,
        *,
        version: Hashable,
        batch_rows: int = BATCH_ROWS,
    ) -> IdMask:
        """As :func:`passing`; its ``bits`` are shared and cannot be written.

        ``version``: of the rows; no two stores with different rows may ever have the same.
        """
        key = (version, filter_.key)
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
            running = self._running.get(key)
            if known is None and running is None:
                ours = self._running[key] = Future()
        self._observer(hit=known is not None or running is not None)
        if known is not None:
            return known[0]
        if running is not None:
            return running.result()
        try:
            mask = passing(filter_, store, batch_rows=batch_rows)
        except BaseException as error:
            with self._lock:
                del self._running[key]
            ours.set_exception(error)
            raise
        mask.bits.flags.writeable = False
        with self._lock:
            del self._running[key]
            self._keep(key, mask, mask.bits.nbytes + len(filter_.key) + _ENTRY_BYTES)
        ours.set_result(mask)
        return mask

    def _keep(self, key: Hashable, mask: IdMask, size: int) -> None:
        if size > self._most:
            return
        self._known[key] = (mask, size)
        self._bytes += size
        while self._bytes > self._most:
            _, (_, gone) = self._known.popitem(last=False)
            self._bytes -= gone


def _runs(rows: int, step: int) -> Iterator[IdArray]:
    for start in range(0, rows, step):
        yield np.arange(start, min(start + step, rows), dtype=np.int64)
