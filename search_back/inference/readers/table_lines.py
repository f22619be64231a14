"""Lines of a text file, plain or gzip, gathered to blocks of rows; bad ones fail alone."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa

from search_back.inference.readers.table_files import DAMAGE, Rows, lost_rows
from search_back.inference.report import Failure

NOT_UTF8: Final = "it is not UTF-8: convert the table"

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ROWS_AT_ONCE: Final = 1000
_TEXT_AT_ONCE: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Line:
    """One row; ``value`` is None where it is bad, and ``reason`` says why."""

    number: int
    value: Any = None
    size: int = 0
    reason: str = ""


def in_blocks(
    path: Path, lines: Iterator[Line], to_batch: Callable[[list[Any]], pa.RecordBatch]
) -> Generator[Rows | Failure, None, None]:
    """Rows, a bounded number at once, and the bad lines where they stand."""
    first = 0
    waiting: list[Any] = []
    size = 0
    try:
        for line in _to_damage(lines):
            bad = isinstance(line, BaseException) or line.value is None
            if waiting and (bad or len(waiting) >= _ROWS_AT_ONCE or size >= _TEXT_AT_ONCE):
                yield Rows(first, to_batch(waiting))
                first += len(waiting)
                waiting, size = [], 0
            if isinstance(line, BaseException):
                yield lost_rows(path, first, None, line)
            elif bad:
                yield Failure(f"{path}#{first}", "read", line.reason)
                first += 1
            else:
                waiting.append(line.value)
                size += line.size
        if waiting:
            yield Rows(first, to_batch(waiting))
    except DAMAGE as error:
        # Rows that do not fit the types of the first pass: somebody writes the file.
        yield lost_rows(path, first, None, error)


def _to_damage(lines: Iterator[Line]) -> Iterator[Line | BaseException]:
    try:
        yield from lines
    except DAMAGE as error:
        yield error


def record_batch(arrays: Sequence[pa.Array], columns: Sequence[str], rows: int) -> pa.RecordBatch:
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.nulls(rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(list(arrays), names=list(columns))


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        file = stack.enter_context(open(path, "rb"))
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        yield cast(
            IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=file)) if compressed else file
        )
