"""The files of an embeddings folder, written as rows come; types and names settled at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search_back.files import EMBEDDING_FOLDERS, FAILURES, METADATA_FOLDER
from search_back.inference.columns import ColumnShapes, Shape, arrow_array, arrow_type
from search_back.inference.items import Row, printable
from search_back.inference.report import Failure, Stage
from search_back.types import FloatArray
from search_back.vectors import normalise

_SPOOL: Final = ".spool"
_ROWS_AT_ONCE: Final = 10_000


class EmbeddingFile:
    """One ``.npy`` of ``(n, d)`` float16 unit rows whose n is known only when it is closed."""

    def __init__(self, path: Path, dimension: int) -> None:
        self._file = open(path, "wb")  # noqa: SIM115
        self._dimension = dimension
        self._rows = 0
        self._write_header()
        self._data_start = self._file.tell()

    def append(self, vectors: FloatArray) -> None:
        self._file.write(normalise(vectors).astype("<f2").tobytes())
        self._rows += len(vectors)

    def close(self) -> None:
        if self._file.closed:
            return
        with self._file:
            self._file.seek(0)
            self._write_header()
            # numpy pads headers so that the length of the first axis may grow.
            assert self._file.tell() == self._data_start, "the header moved the data"

    def _write_header(self) -> None:
        shape = (self._rows, self._dimension)
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class _Partition:
    def __init__(self, folder: Path, number: int, dimension: int, kinds: Sequence[str]) -> None:
        self.rows = 0
        self._embeddings = {
            kind: EmbeddingFile(folder / kind / f"{number}.npy", dimension) for kind in kinds
        }
        self._spool = open(  # noqa: SIM115
            folder / METADATA_FOLDER / f"{number}{_SPOOL}", "w", encoding="utf-8", newline="\n"
        )

    def append(self, lines: Sequence[str], vectors: dict[str, FloatArray]) -> None:
        assert all(len(rows) == len(lines) for rows in vectors.values()), "rows must match"
        self._spool.writelines(lines)
        for kind, rows in vectors.items():
            self._embeddings[kind].append(rows)
        self.rows += len(lines)

    def close(self) -> None:
        self._spool.close()
        for file in self._embeddings.values():
            file.close()


@dataclass(frozen=True, slots=True)
class Written:
    """What ``PartitionWriter.finish`` made; ``columns``: names of the metadata's columns."""

    count: int
    partitions: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]


class PartitionWriter:
    """Fills ``img_emb``, ``text_emb`` and ``metadata`` of a folder, ``rows_each`` rows a file.

    Metadata waits in a spool of JSON lines, since the types of its columns are known only after
    the last row. For one thread; a context manager, so that files are closed on an error.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dimension: int,
        image: bool,
        text: bool,
        rows_each: int,
        max_columns: int,
    ) -> None:
        self._folder = folder
        self._dimension = dimension
        wanted = {"image": image, "text": text}
        self._kinds = tuple(EMBEDDING_FOLDERS[name] for name, on in wanted.items() if on)
        self._rows_each = rows_each
        self._columns = ColumnShapes(max_columns)
        self._has_captions = text
        self._count = 0
        self._partitions = 0
        self._open: _Partition | None = None
        for name in (*self._kinds, METADATA_FOLDER):
            (folder / name).mkdir()

    def __enter__(self) -> PartitionWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def append(
        self, rows: Sequence[Row], *, image: FloatArray | None, text: FloatArray | None
    ) -> None:
        """Rows and their vectors, ``(len(rows), d)`` each."""
        given = {EMBEDDING_FOLDERS["image"]: image, EMBEDDING_FOLDERS["text"]: text}
        vectors = {kind: array for kind, array in given.items() if array is not None}
        lines = [self._line(row) for row in rows]
        start = 0
        while start < len(lines):
            if self._open is None:
                self._open = _Partition(
                    self._folder, self._partitions, self._dimension, self._kinds
                )
                self._partitions += 1
            part = slice(start, start + self._rows_each - self._open.rows)
            self._open.append(lines[part], {kind: v[part] for kind, v in vectors.items()})
            start = min(part.stop, len(lines))
            if self._open.rows == self._rows_each:
                self._close()
        self._count += len(lines)

    def finish(self) -> Written:
        """Settle the columns, write the metadata, give every file its padded name."""
        self._close()
        shapes = self._columns.shapes()
        own = ("image_path", "caption") if self._has_captions else ("image_path",)
        hidden = [name for name in own if shapes.pop(name, None) is not None]
        schema = pa.schema(
            [(name, pa.string()) for name in own]
            + [(name, arrow_type(shape)) for name, shape in shapes.items()]
        )
        width = len(str(self._partitions - 1))
        for p in range(self._partitions):
            for kind in self._kinds:
                (self._folder / kind / f"{p}.npy").rename(
                    self._folder / kind / f"{kind}_{p:0{width}}.npy"
                )
            spool = self._folder / METADATA_FOLDER / f"{p}{_SPOOL}"
            target = self._folder / METADATA_FOLDER / f"{METADATA_FOLDER}_{p:0{width}}.parquet"
            _convert(spool, target, schema, shapes)
            spool.unlink()
        notes = self._notes(hidden, shapes)
        return Written(self._count, self._partitions, tuple(schema.names), tuple(notes))

    def _notes(self, hidden: list[str], shapes: dict[str, Shape]) -> list[str]:
        notes = [f"metadata key {name!r} is left out: the run's own column" for name in hidden]
        mixed = [repr(name) for name, shape in shapes.items() if shape.kind == "mixed"]
        if mixed:
            notes.append(
                f"metadata of different types between rows is stored as JSON texts: "
                f"{', '.join(mixed[:10])}{' …' if len(mixed) > 10 else ''}"
            )
        if self._columns.left_out:
            notes.append(
                f"{self._columns.left_out} metadata values are left out: they have keys beyond "
                f"--max-metadata-columns"
            )
        return notes

    def _line(self, row: Row) -> str:
        self._has_captions = self._has_captions or row.caption is not None
        metadata = self._columns.observe(row.metadata) if row.metadata else None
        return json.dumps([row.image_path, row.caption, metadata], ensure_ascii=False) + "\n"

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class FailureLog:
    """Writes failures.parquet as failures come; keeps a count and the first few."""

    SCHEMA: Final = pa.schema([(name, pa.string()) for name in ("key", "stage", "reason")])

    def __init__(self, folder: Path, *, examples: int = 10) -> None:
        self._writer = pq.ParquetWriter(folder / FAILURES, self.SCHEMA)
        self._examples = examples
        self._waiting: list[Failure] = []
        self.first: list[Failure] = []
        self.stages: set[Stage] = set()
        self.count = 0

    def add(self, failures: Sequence[Failure]) -> None:
        self.count += len(failures)
        self.stages.update(failure.stage for failure in failures)
        self.first += failures[: self._examples - len(self.first)]
        self._waiting += failures
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def reasons(self, most: int = 3) -> str:
        """The first few, in words."""
        return "; ".join(map(str, self.first[:most]))

    def _flush(self) -> None:
        rows = [
            {"key": printable(f.key), "stage": f.stage, "reason": printable(f.reason)}
            for f in self._waiting
        ]
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self.SCHEMA))
        self._waiting = []


def _convert(spool: Path, target: Path, schema: pa.Schema, shapes: dict[str, Shape]) -> None:
    with (
        open(spool, encoding="utf-8", newline="\n") as lines,
        pq.ParquetWriter(target, schema) as writer,
    ):
        while chunk := [json.loads(line) for line in islice(lines, _ROWS_AT_ONCE)]:
            objects: list[dict[str, Any]] = [metadata or {} for _, _, metadata in chunk]
            columns = [pa.array([path for path, _, _ in chunk], pa.string())]
            if "caption" in schema.names and "caption" not in shapes:
                columns.append(pa.array([caption for _, caption, _ in chunk], pa.string()))
            columns += [
                arrow_array([metadata.get(name) for metadata in objects], shape)
                for name, shape in shapes.items()
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
