"""What a reader of tables gives, in plain values."""

from __future__ import annotations

from typing import Any

from search_back.inference.items import Entry, Item, Reader, Skipped, entries_of
from search_back.inference.report import Failure

Found = tuple[str, str | None, bytes | None, str | None, dict[str, Any] | None]
"""Key without its folder, image_path, picture, caption, record."""


def plain(entry: Entry) -> Found | Failure | Skipped:
    if not isinstance(entry, Item):
        return entry
    record = None
    if entry.record is not None:
        record = entry.record.batch.slice(entry.record.row, 1).to_pylist()[0]
    return (
        entry.key.rsplit("/", 1)[-1],
        entry.image_path,
        loaded(entry),
        entry.caption().decode(errors="replace") if entry.caption else None,
        record,
    )


def loaded(item: Item) -> bytes | None:
    try:
        return item.image() if item.image else None
    except FileNotFoundError:
        return None


def read(reader: Reader, *, scan: bool = False) -> list[Found | Failure | Skipped]:
    return [plain(entry) for entry in entries_of(reader, scan=scan)]


def records(reader: Reader) -> list[dict[str, Any]]:
    found = []
    for entry in entries_of(reader):
        assert isinstance(entry, Item) and entry.record is not None
        assert entry.record.batch.schema.equals(reader.schema)
        found += entry.record.batch.slice(entry.record.row, 1).to_pylist()
    return found
