"""JSON lines: one object a line, its types from all of them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from search_back.errors import ConfigError
from search_back.inference.columns import ColumnShapes, Shape, arrow_array, arrow_type
from search_back.inference.items import decode_metadata
from search_back.inference.readers.table_files import DAMAGE, Rows, damaged
from search_back.inference.readers.table_lines import (
    NOT_UTF8,
    Line,
    in_blocks,
    record_batch,
    unpacked,
)
from search_back.inference.report import Failure

_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_MAX_COLUMNS: Final = 1000


class JsonTable:
    """A file of JSON lines.

    Columns have the types that metadata of JSON files gets; where rows disagree, texts stay and
    other values are stored as JSON texts. One part. Raises ``CorruptFile``; ``ConfigError`` where
    there are more than 1,000 keys, or the file is UTF-16.
    """

    parts = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        shapes = ColumnShapes(_MAX_COLUMNS)
        try:
            with unpacked(path) as file:
                if file.read(2) in _UTF16_MARKS:
                    raise ConfigError(f"{path} cannot be read", value=NOT_UTF8)
            for line in self._lines():
                if line.value is not None:
                    shapes.observe(line.value)
        except DAMAGE as error:
            if not shapes.shapes():
                raise damaged(path, error) from error
        if shapes.left_out:
            raise ConfigError(
                f"the objects of a table have more than {_MAX_COLUMNS} keys",
                value=str(path),
                remedy="a key that names one row, say a file name, should be a value",
            )
        self._shapes = shapes.shapes()
        self.schema: pa.Schema = pa.schema(
            [(name, _json_type(shape)) for name, shape in self._shapes.items()]
        )

    def read(self, part: int, columns: Sequence[str]) -> Generator[Rows | Failure, None, None]:
        return in_blocks(self.path, self._lines(), lambda rows: self._batch(rows, columns))

    def nulls(self, part: int, leaf: str) -> int | None:
        return None

    def _lines(self) -> Iterator[Line]:
        with unpacked(self.path) as file:
            for number, data in enumerate(file, 1):
                if not data.strip():
                    continue
                try:
                    yield Line(number, decode_metadata(data), len(data))
                except UnicodeDecodeError:
                    yield Line(number, reason=f"line {number}: {NOT_UTF8}")
                except ValueError as error:
                    yield Line(number, reason=f"line {number}: {error}")

    def _batch(self, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pa.RecordBatch:
        arrays = []
        for name in columns:
            cells = [row.get(name) for row in rows]
            shape = self._shapes[name]
            if shape.kind == "mixed":
                arrays.append(pa.array([_as_text(cell) for cell in cells], pa.string()))
            elif shape.kind == "null":
                arrays.append(pa.nulls(len(cells)))
            else:
                arrays.append(arrow_array(cells, shape))
        return record_batch(arrays, columns, len(rows))


def _json_type(shape: Shape) -> pa.DataType:
    return pa.null() if shape.kind == "null" else arrow_type(shape)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
