"""CSV: the types of its columns from all its rows."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Container, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from search_back.errors import ConfigError
from search_back.inference.items import storable
from search_back.inference.readers.table_files import DAMAGE, Rows, damaged
from search_back.inference.readers.table_lines import (
    NOT_UTF8,
    Line,
    in_blocks,
    record_batch,
    unpacked,
)
from search_back.inference.report import Failure

_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NO_NUMBERS: Final = frozenset(("nan", "NaN", "inf", "-inf"))
_TRUTHS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# More digits than this may change on their way through a double.
_EXACT_DIGITS: Final = 15


class CsvTable:
    """A CSV file, or one separated by tabs, whose first line names its columns.

    Cells may be quoted, in both. A row that is not well quoted, or has too few or too many cells,
    is a failure with its line.

    A column is of whole numbers, numbers or truth values where every cell is plainly written as
    one; ``007``, or more digits than a number can hold, make it a text, and so does a date. The
    columns ``texts`` (in small letters) are texts whatever they hold. An empty cell is null. A
    column without a name is ``column_`` and its number. Cells hold 131,072 characters at most.

    One part. Raises ``CorruptFile``; ``ConfigError`` where the first line is not UTF-8.
    """

    parts = 1

    def __init__(self, path: Path, *, texts: Container[str] = ()) -> None:
        self.path = path
        self._delimiter = "," if path.name.lower().endswith((".csv", ".csv.gz")) else "\t"
        self._names: list[str] = []
        kinds: list[_CellKind] = []
        try:
            for line in self._lines():
                if not self._names:
                    if line.value is None:
                        raise ConfigError(f"{path} cannot be read", value=line.reason)
                    several = enumerate(line.value, 1)
                    self._names = [name.strip() or f"column_{i}" for i, name in several]
                    kinds = [_CellKind(text=name.lower() in texts) for name in self._names]
                elif line.value is not None and len(line.value) == len(kinds):
                    for kind, cell in zip(kinds, line.value, strict=True):
                        kind.observe(cell)
        except DAMAGE as error:
            # What lies before the damage is read, and the damage told, when its turn comes.
            if not self._names:
                raise damaged(path, error) from error
        types = [kind.arrow_type() for kind in kinds]
        self.schema: pa.Schema = pa.schema(list(zip(self._names, types, strict=True)))

    def read(self, part: int, columns: Sequence[str]) -> Generator[Rows | Failure, None, None]:
        lines = itertools.islice(self._lines(), 1, None)
        return in_blocks(self.path, lines, lambda rows: self._batch(rows, columns))

    def nulls(self, part: int, leaf: str) -> int | None:
        return None

    def _lines(self) -> Iterator[Line]:
        with unpacked(self.path) as file:
            # Undecodable bytes cost their row, not the rest.
            text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
            rows = csv.reader(text, delimiter=self._delimiter, strict=True)
            while True:
                number = rows.line_num + 1
                try:
                    cells = next(rows)
                except StopIteration:
                    return
                except csv.Error as error:
                    last = rows.line_num
                    where = f"lines {number} to {last}" if last > number else f"line {number}"
                    yield Line(number, reason=f"{where}: {error}")
                    continue
                if not cells:
                    continue
                if not storable("".join(cells)):
                    yield Line(number, reason=f"line {number}: {NOT_UTF8}")
                elif self._names and len(cells) != len(self._names):
                    counts = f"{len(cells)} cells, but {len(self._names)} columns"
                    yield Line(number, reason=f"line {number}: {counts}")
                else:
                    yield Line(number, cells, sum(map(len, cells)))

    def _batch(self, rows: Sequence[list[str]], columns: Sequence[str]) -> pa.RecordBatch:
        arrays = []
        for name in columns:
            at = self._names.index(name)
            kind = self.schema.field(name).type
            arrays.append(pa.array([_cell(row[at], kind) for row in rows], kind))
        return record_batch(arrays, columns, len(rows))


class _CellKind:
    """What the cells of a column have in common."""

    def __init__(self, *, text: bool) -> None:
        self._kind: Literal["null", "whole", "number", "truth", "text"] = "text" if text else "null"
        self._long = False

    def observe(self, cell: str) -> None:
        if not cell or self._kind == "text":
            return
        kind = self._kind_of(cell)
        if self._kind in ("null", kind):
            self._kind = kind
        elif {self._kind, kind} == {"whole", "number"}:
            self._kind = "number"
        else:
            self._kind = "text"
        if self._kind == "number" and self._long:
            self._kind = "text"

    def arrow_type(self) -> pa.DataType:
        kinds = {
            "null": pa.null(),
            "whole": pa.int64(),
            "number": pa.float64(),
            "truth": pa.bool_(),
            "text": pa.string(),
        }
        return kinds[self._kind]

    def _kind_of(self, cell: str) -> Literal["whole", "number", "truth", "text"]:
        if _WHOLE.fullmatch(cell):
            self._long = self._long or len(cell.lstrip("-")) > _EXACT_DIGITS
            return "whole"
        if cell in _NO_NUMBERS:
            return "number"
        if _NUMBER.fullmatch(cell):
            # Whole, and too long for one: a double would cut it.
            cut = cell.lstrip("-").isdigit() or math.isinf(float(cell))
            return "text" if cut else "number"
        return "truth" if cell in _TRUTHS else "text"


def _cell(cell: str, kind: pa.DataType) -> Any:
    if not cell:
        return None
    if pa.types.is_integer(kind):
        return int(cell)
    if pa.types.is_floating(kind):
        return float(cell)
    return _TRUTHS[cell] if pa.types.is_boolean(kind) else cell
