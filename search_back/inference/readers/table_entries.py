"""Rows of a table as entries of a reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from search_back.inference.items import Entry, Item, Record, Skipped
from search_back.inference.readers.table_cells import (
    Cell,
    Fetch,
    Picture,
    bytes_of,
    pictures_of,
    texts_of,
)
from search_back.inference.readers.table_columns import Columns
from search_back.inference.readers.table_files import Rows
from search_back.inference.readers.table_schema import fit, misspelt_rows
from search_back.inference.report import Failure

_SUCCESS: Final = "success"


@dataclass(frozen=True, slots=True)
class EntryMaker:
    """Makes entries of rows.

    ``schema``: of their records. ``pictures``: whether rows are about pictures, or captions.
    """

    columns: Columns
    schema: pa.Schema
    pictures: bool
    fetch: Fetch | None

    def entries(self, path: Path, rows: Rows, *, scan: bool) -> list[Entry]:
        """An entry of each row, by its cells that were read.

        Raises ``pa.ArrowException`` where a record does not fit the schema, ``ConfigError`` for a
        URL that nothing fetches.
        """
        record, misspelt = None, {}
        if not scan and len(self.schema):
            record = fit(rows.batch, self.schema)
            misspelt = misspelt_rows(record)
        made: list[Entry] = []
        cells = zip(
            self._pictures(path, rows.batch),
            self._captions(rows.batch),
            self._keys(rows.batch),
            strict=True,
        )
        for row, (cell, caption, key) in enumerate(cells):
            name = f"{path}#{rows.first + row if key is None else key}"
            if self.pictures and cell is None:
                made.append(Skipped("no picture"))
            elif not self.pictures and caption is None:
                made.append(Skipped("no caption"))
            elif self.pictures and isinstance(cell, ValueError):
                made.append(Failure(name, "read", str(cell)))
            elif row in misspelt:
                reason = f"column {misspelt[row]!r} is not UTF-8: correct it"
                made.append(Failure(name, "read", reason))
            else:
                picture = cell if isinstance(cell, Picture) else None
                item = Item(
                    key=name,
                    image_path=(picture.path if picture else None) or key,
                    image=picture.image if picture and self.pictures and not scan else None,
                    caption=None if caption is None else partial(_given, caption),
                    record=None if record is None else Record(record, row),
                )
                made.append(item)
        return made

    def successes(self, batch: pa.RecordBatch) -> list[bool]:
        """Which rows img2dataset found a picture for: all, where it made no such column."""
        if self.columns.status not in batch.schema.names:
            return [True] * len(batch)
        return [text == _SUCCESS for text in texts_of(batch.column(self.columns.status))]

    def _pictures(self, path: Path, batch: pa.RecordBatch) -> Sequence[Cell]:
        if self.columns.image in batch.schema.names:
            column = batch.column(self.columns.image)
            fetch = self.fetch if self.pictures else _nothing
            cells: list[Cell] = list(pictures_of(column, folder=path.parent, fetch=fetch))
        else:
            # A scan that knows without reading them that they are there.
            cells = [Picture(_nothing)] * len(batch)
        there = self.successes(batch)
        return [cell if good else None for cell, good in zip(cells, there, strict=True)]

    def _captions(self, batch: pa.RecordBatch) -> Sequence[bytes | None]:
        if self.columns.caption not in batch.schema.names:
            return [None] * len(batch)
        return bytes_of(batch.column(self.columns.caption))

    def _keys(self, batch: pa.RecordBatch) -> Sequence[str | None]:
        if self.columns.key not in batch.schema.names:
            return [None] * len(batch)
        column = batch.column(self.columns.key)
        if pa.types.is_integer(column.type):
            return [None if key is None else str(key) for key in column.to_pylist()]
        return [text if isinstance(text, str) else None for text in texts_of(column)]


def _given(data: bytes) -> bytes:
    return data


def _nothing(_: str = "") -> bytes:
    raise AssertionError("this picture was not asked for")
