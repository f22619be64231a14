"""Rows of tables: Parquet, Arrow, CSV and JSON lines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

from search_back.errors import ConfigError, CorruptFile
from search_back.inference.items import Entry, Unit, file_stamp
from search_back.inference.readers.table_cells import Fetch
from search_back.inference.readers.table_columns import TEXT_NAMES, URL_NAMES, choose_columns
from search_back.inference.readers.table_csv import CsvTable
from search_back.inference.readers.table_entries import EntryMaker
from search_back.inference.readers.table_files import (
    DAMAGE,
    ArrowTable,
    ParquetTable,
    TableFile,
    reason_of,
)
from search_back.inference.readers.table_json import JsonTable
from search_back.inference.readers.table_schema import carried_schema, unify
from search_back.inference.report import Failure
from search_back.remote import RemoteFile
from search_back.remote.addresses import shown

_PARQUET: Final = (".parquet", ".pq")
_ARROW: Final = (".arrow", ".arrows", ".feather", ".ipc")
_SEPARATED: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_JSON_LINES: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
TABLE_SUFFIXES: Final = (*_PARQUET, *_ARROW, *_SEPARATED, *_JSON_LINES)
OWN_COLUMNS: Final = ("image_path", "caption")
"""What the metadata of every run may have; columns of that name are not carried."""


class TableReader:
    """Reads tables one after another, row by row.

    A column holds the pictures' bytes (plain, or in Hugging Face's image feature), or their paths
    or URLs; ``choose_columns`` says how it is found. Paths are relative to the table's folder.
    ``image_path`` of a row is the picture's path; that of the image feature, or the ``key``, where
    the table holds the bytes; the ``key`` for a URL. Rows whose picture (or, without ``pictures``,
    caption) is null are skipped, and so are rows of img2dataset without success.

    With ``metadata`` every other column is carried, and a picture column of names too; not
    ``OWN_COLUMNS``, the caption, or the pictures' bytes. A unit is some rows of a table; what
    cannot be read of it is a failure. A scan reads bytes of pictures only where nothing else tells
    which rows have one. ``fetch`` gets URLs. ``remote``: what ``files`` are copies of.

    Every table is opened at once, and CSV and JSON lines are read through, to learn their types.
    Raises ``ConfigError`` where columns are missing or do not fit each other. For one thread; the
    parts of its items may be read in any.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        image_column: str | None = None,
        caption_column: str | None = None,
        pictures: bool = True,
        metadata: bool = True,
        fetch: Fetch | None = None,
        remote: Sequence[RemoteFile] = (),
    ) -> None:
        paths = [path.resolve() for path in files]
        named = {name.lower() for name in (image_column, caption_column) if name is not None}
        self._tables = [_opened(path, TEXT_NAMES | named) for path in paths]
        readable = [table for table in self._tables if not isinstance(table, Failure)]
        types = unify([(table.path, table.schema) for table in readable])
        columns = choose_columns(
            types, image=image_column, caption=caption_column, pictures=pictures
        )
        _check_complete(readable, columns.image if pictures else columns.caption)
        stored = columns.kind == "bytes"
        hidden = {*OWN_COLUMNS, columns.caption, columns.image if stored else None}
        self.schema: pa.Schema = carried_schema(types, without=hidden if metadata else types)
        self._maker = EntryMaker(columns, self.schema, pictures, fetch)
        self.inputs: tuple[str, ...] = tuple(shown(file.url) for file in remote) or tuple(
            map(str, paths)
        )
        stamps = [partial(str, file.stamp) for file in remote]
        self._stamps = stamps or [partial(file_stamp, path) for path in paths]
        self.waits = (columns.image or "").lower() in URL_NAMES
        has_paths = not stored and (columns.image or "").lower() not in URL_NAMES
        self.image_root: str | None = _common_folder(paths) if has_paths else None
        self.scan: Literal["cheap", "costly", "never"] = (
            "costly" if stored and pictures else "cheap"
        )

    def units(self) -> Iterator[Unit]:
        for table, name, stamp in zip(self._tables, self.inputs, self._stamps, strict=True):
            if isinstance(table, Failure):
                yield Unit(name, stamp, partial(_only, table))
                continue
            for part in range(table.parts):
                yield Unit(f"{name} {part}", stamp, partial(self._entries, table, part))

    def nothing_found(self) -> tuple[str, str]:
        where = self.inputs[0] + (f" and {len(self.inputs) - 1} more" if self.inputs[1:] else "")
        columns = self._maker.columns
        thing = "picture" if self._maker.pictures else "caption"
        name = columns.image if self._maker.pictures else columns.caption
        return (
            f"no {thing} in {where}",
            f"looked in column {name!r}" if name else "no table is whole",
        )

    def _entries(self, table: TableFile, part: int, scan: bool) -> Iterator[Entry]:
        with closing(table.read(part, self._wanted(table, part, scan))) as several:
            for rows in several:
                if isinstance(rows, Failure):
                    yield rows
                    continue
                try:
                    entries = self._maker.entries(table.path, rows, scan=scan)
                except DAMAGE as error:
                    last = rows.first + len(rows.batch) - 1
                    reason = f"rows {rows.first} to {last} do not fit the other tables"
                    yield Failure(str(table.path), "read", f"{reason}: {reason_of(error)}")
                else:
                    yield from entries

    def _wanted(self, table: TableFile, part: int, scan: bool) -> list[str]:
        """The columns to read."""
        columns = self._maker.columns
        names = {columns.caption, columns.key, columns.status}
        if columns.kind == "names" or (
            self._maker.pictures and not (scan and self._knows_nulls(table, part))
        ):
            names.add(columns.image)
        if not scan:
            names.update(self.schema.names)
        return [name for name in table.schema.names if name in names]

    def _knows_nulls(self, table: TableFile, part: int) -> bool:
        """Whether every picture of a part is there, but for those that were no success."""
        columns = self._maker.columns
        assert columns.image is not None, "a run on pictures has their column"
        inside = pa.types.is_struct(table.schema.field(columns.image).type)
        nulls = table.nulls(part, f"{columns.image}.bytes" if inside else columns.image)
        if not nulls or columns.status is None or columns.status not in table.schema.names:
            return nulls == 0
        with closing(table.read(part, [columns.status])) as several:
            for rows in several:
                if isinstance(rows, Failure):
                    return False
                nulls -= self._maker.successes(rows.batch).count(False)
        return nulls == 0


def is_table(path: Path) -> bool:
    """Whether a name says it is a table."""
    return path.name.lower().endswith(TABLE_SUFFIXES)


def _opened(path: Path, texts: frozenset[str]) -> TableFile | Failure:
    name = path.name.lower()
    try:
        if name.endswith(_PARQUET):
            return ParquetTable(path)
        if name.endswith(_ARROW):
            return ArrowTable(path)
        if name.endswith(_SEPARATED):
            return CsvTable(path, texts=texts)
        if name.endswith(_JSON_LINES):
            return JsonTable(path)
    except CorruptFile as error:
        return Failure(str(path), "read", str(error))
    raise ConfigError(
        "the name does not tell the format of a table",
        value=str(path),
        remedy=f"known are {' '.join(TABLE_SUFFIXES)}",
    )


def _check_complete(tables: Sequence[TableFile], column: str | None) -> None:
    for table in tables:
        if column not in table.schema.names:
            raise ConfigError(
                f"{table.path} lacks the column {column!r} of the other tables",
                value=", ".join(table.schema.names),
                remedy="leave it out, or run it apart",
            )


def _common_folder(paths: Sequence[Path]) -> str | None:
    try:
        folder = Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # drives of Windows
        return None
    # The root of everything would let everything be shown.
    return None if folder == folder.parent else str(folder)


def _only(failure: Failure, _: bool) -> Iterator[Entry]:
    yield failure
