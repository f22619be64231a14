"""Rows of consecutive entries written to a shard, batch by batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Final

import pyarrow as pa

from search_back.files import EMBEDDING_FOLDERS, sha256_file
from search_back.inference.columns import ColumnShapes
from search_back.inference.digests import pack
from search_back.inference.embedding_file import EmbeddingFile
from search_back.inference.items import Row, printable
from search_back.inference.mapper import Batch
from search_back.inference.shards import DIGESTS, FAILURE_LINES, RECORD, ROWS, Contents
from search_back.inference.source import Part, Place

_OWN: Final = (
    pa.field("image_path", pa.string()),
    pa.field("caption", pa.string()),
    pa.field("metadata", pa.string()),
)
_ROWS_AT_ONCE: Final = 1000


class ShardWriter:
    """Writes one shard into a folder of its own, batch by batch; ``finish`` completes it.

    ``known``: keys of JSON metadata that the shards before it have brought. For one thread; a
    context manager, so that files are closed on an error.
    """

    def __init__(
        self, folder: Path, contents: Contents, start: Place, known: Iterable[str] = ()
    ) -> None:
        self.rows = 0
        self.items = 0
        self.taken: Counter[int] = Counter()
        self._folder = folder
        self._start = start
        self._skipped: Counter[str] = Counter()
        self._failed = 0
        self._duplicates = 0
        self._has_captions = False
        self._columns = ColumnShapes(contents.max_columns, known)
        folder.mkdir()
        self._embeddings = {
            kind: EmbeddingFile(folder / f"{kind}.npy", contents.dimension)
            for kind in contents.kinds
        }
        self._records = contents.schema
        self._schema = pa.schema([*_OWN, *contents.schema])
        self._file = pa.OSFile(str(folder / ROWS), "wb")
        self._rows = pa.ipc.new_stream(self._file, self._schema)
        self._waiting: list[Row] = []
        self._failures = open(  # noqa: SIM115
            folder / FAILURE_LINES, "w", encoding="utf-8", newline="\n"
        )
        self._digests = open(folder / DIGESTS, "wb") if contents.digests else None  # noqa: SIM115

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def append(self, batch: Batch) -> None:
        given = {EMBEDDING_FOLDERS["image"]: batch.image, EMBEDDING_FOLDERS["text"]: batch.text}
        for kind, file in self._embeddings.items():
            vectors = given[kind]
            if vectors is not None:
                file.append(vectors)
            assert file.rows == self.rows + len(batch.rows), "rows must match"
        self._waiting += batch.rows
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._write_rows()
        for failure in batch.failures:
            line = [printable(failure.key), failure.stage, printable(failure.reason)]
            self._failures.write(json.dumps(line, ensure_ascii=False) + "\n")
        if self._digests is not None:
            self._digests.write(pack(batch.firsts, rows=self.rows, failures=self._failed))
        self.rows += len(batch.rows)
        self.items += batch.items
        self.taken += batch.taken
        self._skipped += batch.skipped
        self._failed += len(batch.failures)
        self._duplicates += batch.duplicates

    def finish(self, parts: Sequence[Part]) -> None:
        """Write the record; the folder is whole then, though not on the disk for certain."""
        self._write_rows()
        self._close()
        record = {
            "start": asdict(self._start),
            "parts": [asdict(part) for part in parts],
            "items": self.items,
            "rows": self.rows,
            "failures": self._failed,
            "skipped": dict(self._skipped),
            # A list: the order of the keys tells which of them come first.
            "columns": [[name, shape.to_json()] for name, shape in self._columns.shapes().items()],
            "left_out": self._columns.left_out,
            "duplicates": self._duplicates,
            "has_captions": self._has_captions,
            "checksums": {path.name: sha256_file(path) for path in sorted(self._folder.iterdir())},
        }
        text = json.dumps(record, ensure_ascii=False)
        (self._folder / RECORD).write_text(text, encoding="utf-8")

    def _close(self) -> None:
        if not self._file.closed:
            self._rows.close()
            self._file.close()
        self._failures.close()
        if self._digests is not None:
            self._digests.close()
        for file in self._embeddings.values():
            file.close()

    def _write_rows(self) -> None:
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        own = [
            pa.array([row.image_path for row in rows], pa.string()),
            pa.array([row.caption for row in rows], pa.string()),
            pa.array([self._metadata(row) for row in rows], pa.string()),
        ]
        self._has_captions = self._has_captions or own[1].null_count < len(rows)
        further = _records(rows, self._records).columns if self._records.names else []
        self._rows.write_batch(pa.record_batch([*own, *further], schema=self._schema))

    def _metadata(self, row: Row) -> str | None:
        if not row.metadata:
            return None
        return json.dumps(self._columns.observe(row.metadata), ensure_ascii=False)


def _records(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    """The records of rows, neighbours of one batch taken together."""
    parts: list[pa.RecordBatch] = []
    batch: pa.RecordBatch | None = None
    numbers: list[int] = []
    for row in rows:
        assert row.record is not None, "a reader with a schema gives every item its record"
        if row.record.batch is not batch:
            if batch is not None:
                parts.append(batch.take(pa.array(numbers)))
            batch, numbers = row.record.batch, []
        numbers.append(row.record.row)
    assert batch is not None
    parts.append(batch.take(pa.array(numbers)))
    return pa.Table.from_batches(parts, schema).combine_chunks().to_batches()[0]
