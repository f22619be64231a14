"""Rows of consecutive entries, on disk as a whole or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import pyarrow as pa

from search_back.errors import CorruptFile
from search_back.files import EMBEDDING_FOLDERS, read_json, sha256_file
from search_back.inference.columns import ColumnShapes, Shape
from search_back.inference.digests import First, pack, unpack
from search_back.inference.items import Row, printable
from search_back.inference.mapper import Batch
from search_back.inference.report import Failure
from search_back.inference.source import Part, Place, after
from search_back.types import FloatArray
from search_back.vectors import HalfArray, as_stored

RECORD: Final = "shard.json"
_ROWS: Final = "rows.arrow"
_FAILURES: Final = "failures.jsonl"
_DIGESTS: Final = "digests"
_OWN: Final = (
    pa.field("image_path", pa.string()),
    pa.field("caption", pa.string()),
    pa.field("metadata", pa.string()),
)
_ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Contents:
    """What every shard of a run holds.

    ``kinds``: names of the embeddings (``img_emb``, ``text_emb``); ``schema``: of the records that
    come with the rows; ``max_columns``: keys of JSON metadata after the first so many are left out.
    ``digests``: those of its pictures, too.
    """

    dimension: int
    kinds: tuple[str, ...]
    schema: pa.Schema
    max_columns: int
    digests: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished shard: the entries behind ``start`` up to ``end``, and what came of them.

    ``columns``: shapes of the keys of its JSON metadata, by their first appearance; ``left_out``:
    values of keys beyond the limit. ``duplicates``: how many of its rows have the vector of an
    earlier one. ``checksums``: sha256 of its files, by name.
    """

    folder: Path
    start: Place
    parts: tuple[Part, ...]
    items: int
    rows: int
    failures: int
    skipped: Mapping[str, int]
    columns: Mapping[str, Shape]
    left_out: int
    duplicates: int
    has_captions: bool
    checksums: Mapping[str, str]

    @property
    def end(self) -> Place:
        return after(self.parts, self.start, self.items)

    def embeddings(self, kind: str) -> HalfArray:
        """``(rows, d)`` float16, mapped."""
        found: HalfArray = np.load(
            self.folder / f"{kind}.npy", mmap_mode="r" if self.rows else None
        )
        return found

    def blocks(self, kind: str, rows: int = 4096) -> Iterator[HalfArray]:
        """The same in order, ``(≤ rows, d)`` at a time, read and not mapped.

        Mapped pages count as memory of the process, and there may be as many as there are rows.
        """
        with open(self.folder / f"{kind}.npy", "rb") as file:
            np.lib.format.read_magic(file)
            (_, dimension), _, dtype = np.lib.format.read_array_header_1_0(file)
            while data := file.read(rows * dimension * dtype.itemsize):
                yield np.frombuffer(data, dtype).reshape(-1, dimension)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its rows: ``image_path``, ``caption``, ``metadata`` (JSON), then those of the records."""
        with pa.OSFile(str(self.folder / _ROWS)) as file:
            yield from pa.ipc.open_stream(file)

    def failed(self) -> Iterator[Failure]:
        with open(self.folder / _FAILURES, encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield Failure(*json.loads(line))

    def firsts(self) -> Iterator[First]:
        """Its pictures whose bytes had not come before; in a run that looks for duplicates."""
        return unpack((self.folder / _DIGESTS).read_bytes())

    def check(self) -> None:
        """Raises ``CorruptFile`` where a file is not what was written."""
        for name, expected in self.checksums.items():
            path = self.folder / name
            if not path.is_file() or sha256_file(path) != expected:
                raise CorruptFile(f"{path} is damaged")


def read_shard(folder: Path) -> Shard:
    """Raises ``CorruptFile``; ``check`` compares the checksums."""
    record = read_json(folder / RECORD)
    try:
        return Shard(
            folder=folder,
            start=Place(**record["start"]),
            parts=tuple(Part(**part) for part in record["parts"]),
            columns={name: Shape.from_json(shape) for name, shape in record["columns"]},
            **{name: record[name] for name in _PLAIN},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(f"{folder / RECORD} is no record of a shard ({error!r})") from error


_PLAIN: Final = (
    *("items", "rows", "failures", "skipped", "left_out", "duplicates", "has_captions"),
    "checksums",
)


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
        self._file = pa.OSFile(str(folder / _ROWS), "wb")
        self._rows = pa.ipc.new_stream(self._file, self._schema)
        self._waiting: list[Row] = []
        self._failures = open(  # noqa: SIM115
            folder / _FAILURES, "w", encoding="utf-8", newline="\n"
        )
        self._digests = open(folder / _DIGESTS, "wb") if contents.digests else None  # noqa: SIM115

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


class EmbeddingFile:
    """One ``.npy`` of ``(n, d)`` float16 unit rows whose n is known only when it is closed."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.rows = 0
        self._file = open(path, "wb")  # noqa: SIM115
        self._dimension = dimension
        self._write_header()
        self._data_start = self._file.tell()

    def append(self, vectors: FloatArray | HalfArray) -> None:
        """Those of float16 are written as they are."""
        self._file.write(_halves(vectors).tobytes())
        self.rows += len(vectors)

    def close(self) -> None:
        if self._file.closed:
            return
        with self._file:
            self._file.seek(0)
            self._write_header()
            # numpy pads headers so that the length of the first axis may grow.
            assert self._file.tell() == self._data_start, "the header moved the data"

    def _write_header(self) -> None:
        shape = (self.rows, self._dimension)
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def _halves(vectors: FloatArray | HalfArray) -> HalfArray:
    if vectors.dtype == np.float16:
        return vectors.astype("<f2", copy=False)
    return as_stored(vectors)


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
