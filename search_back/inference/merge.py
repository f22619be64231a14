"""Shards to the files of an embeddings folder; types and names settled over all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search_back.files import FAILURES, METADATA_FOLDER
from search_back.inference.columns import arrow_array, arrow_type, joined
from search_back.inference.embedding_file import write_header
from search_back.inference.shards import Contents, Shard

_ROWS_OF_GROUP: Final = 5_000
# Rows as Python objects, of which only as many are held.
_ROWS_AT_ONCE: Final = 500
_FAILURE_SCHEMA: Final = pa.schema([(name, pa.string()) for name in ("key", "stage", "reason")])


@dataclass(frozen=True, slots=True)
class Merged:
    """What ``merge`` made; ``columns``: names of the metadata's columns."""

    count: int
    partitions: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def merge(shards: Sequence[Shard], folder: Path, contents: Contents, *, rows_each: int) -> Merged:
    """Fill ``img_emb``, ``text_emb``, ``metadata`` and failures.parquet, ``rows_each`` rows a file.

    The bytes depend on the rows only, not on how they are spread over shards.
    """
    count = sum(shard.rows for shard in shards)
    partitions = -(-count // rows_each)
    sizes = [min(rows_each, count - p * rows_each) for p in range(partitions)]
    width = len(str(partitions - 1))
    for kind in contents.kinds:
        (folder / kind).mkdir()
        paths = [folder / kind / f"{kind}_{p:0{width}}.npy" for p in range(partitions)]
        _join_embeddings(shards, kind, contents.dimension, dict(zip(paths, sizes, strict=True)))
    (folder / METADATA_FOLDER).mkdir()
    columns = _Columns(shards, contents)
    pieces = _Pieces(shards)
    for p, size in enumerate(sizes):
        path = folder / METADATA_FOLDER / f"{METADATA_FOLDER}_{p:0{width}}.parquet"
        with pq.ParquetWriter(path, columns.schema) as writer:
            for start in range(0, size, _ROWS_OF_GROUP):
                rows = min(_ROWS_OF_GROUP, size - start)
                writer.write_table(_row_group(columns, pieces, rows))
    _join_failures(shards, folder / FAILURES)
    return Merged(count, partitions, tuple(columns.schema.names), tuple(columns.notes()))


def _row_group(columns: _Columns, pieces: _Pieces, rows: int) -> pa.Table:
    parts = [
        columns.of(pieces.take(min(_ROWS_AT_ONCE, rows - start)))
        for start in range(0, rows, _ROWS_AT_ONCE)
    ]
    return pa.concat_tables(parts).combine_chunks()


def _join_embeddings(
    shards: Sequence[Shard], kind: str, dimension: int, sizes: dict[Path, int]
) -> None:
    rest = (block for shard in shards for block in shard.blocks(kind))
    block = np.empty((0, dimension), np.float16)
    for path, size in sizes.items():
        with open(path, "wb") as file:
            write_header(file, size, dimension)
            missing = size
            while missing:
                if not len(block):
                    block = next(rest)
                    continue
                part, block = block[:missing], block[missing:]
                file.write(part.tobytes())
                missing -= len(part)


class _Pieces:
    """The rows of all shards, given out in the numbers asked for."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._rest: Iterator[pa.RecordBatch] = (
            batch for shard in shards for batch in shard.batches()
        )
        self._batch: pa.RecordBatch | None = None

    def take(self, count: int) -> pa.Table:
        parts = []
        while count:
            if self._batch is None or not self._batch.num_rows:
                self._batch = next(self._rest)
                continue
            part = self._batch.slice(0, count)
            self._batch = self._batch.slice(part.num_rows)
            count -= part.num_rows
            parts.append(part)
        return pa.Table.from_batches(parts).combine_chunks()


class _Columns:
    """The columns of the result: the run's own, those of the records, those of JSON metadata."""

    def __init__(self, shards: Sequence[Shard], contents: Contents) -> None:
        known = joined(shard.columns for shard in shards)
        self._left_out = sum(shard.left_out for shard in shards)
        has_captions = any(kind == "text_emb" for kind in contents.kinds) or any(
            shard.has_captions for shard in shards
        )
        self._own = ("image_path", "caption") if has_captions else ("image_path",)
        self._records = list(contents.schema.names)
        taken = {*self._own, *self._records}
        self._hidden = [name for name in known if name in taken]
        self._shapes = {name: s for name, s in known.items() if name not in taken}
        self.schema = pa.schema(
            [
                *((name, pa.string()) for name in self._own),
                *contents.schema,
                *((name, arrow_type(shape)) for name, shape in self._shapes.items()),
            ]
        )

    def of(self, rows: pa.Table) -> pa.Table:
        objects: list[dict[str, Any]] = [
            {} if text is None else json.loads(text) for text in rows["metadata"].to_pylist()
        ]
        columns = [rows[name] for name in (*self._own, *self._records)]
        for name, shape in self._shapes.items():
            columns.append(arrow_array([value.get(name) for value in objects], shape))
        return pa.table(columns, schema=self.schema)

    def notes(self) -> list[str]:
        notes = [
            f"metadata key {name!r} is left out: the run's own column" for name in self._hidden
        ]
        mixed = [repr(name) for name, shape in self._shapes.items() if shape.kind == "mixed"]
        if mixed:
            notes.append(
                f"metadata of different types between rows is stored as JSON texts: "
                f"{', '.join(mixed[:10])}{' …' if len(mixed) > 10 else ''}"
            )
        if self._left_out:
            notes.append(
                f"{self._left_out} metadata values are left out: they have keys beyond "
                f"--max-metadata-columns"
            )
        return notes


def _join_failures(shards: Sequence[Shard], path: Path) -> None:
    waiting: list[dict[str, str]] = []
    with pq.ParquetWriter(path, _FAILURE_SCHEMA) as writer:

        def write() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema=_FAILURE_SCHEMA))
            waiting.clear()

        for shard in shards:
            for failure in shard.failed():
                waiting.append(
                    {"key": failure.key, "stage": failure.stage, "reason": failure.reason}
                )
                if len(waiting) == _ROWS_OF_GROUP:
                    write()
        if waiting:
            write()
