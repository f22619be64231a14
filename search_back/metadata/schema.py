"""One schema for a folder of files whose schemas differ a little."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

from search_back.errors import BadFolder

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def wide(kind: pa.DataType) -> pa.DataType:
    """The type a column is kept as: 64-bit offsets, so that none is too long; no dictionary."""
    kind = same(kind)
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_string(kind):
        kind = pa.large_string()
    elif pa.types.is_binary(kind):
        kind = pa.large_binary()
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = pa.large_list(_wide_field(kind.value_field))
    elif pa.types.is_fixed_size_list(kind):
        kind = pa.list_(_wide_field(kind.value_field), kind.list_size)
    elif pa.types.is_struct(kind):
        kind = pa.struct([_wide_field(kind.field(i)) for i in range(kind.num_fields)])
    return kind


def _is(kind: pa.DataType, test: str) -> bool:
    return hasattr(pa.types, test) and bool(getattr(pa.types, test)(kind))


def _wide_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, wide(field.type))


def same(kind: pa.DataType) -> pa.DataType:
    """The type as the file has it, but no dictionary and no view: of views Arrow takes no rows."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is(kind, "is_string_view"):
        return pa.large_string()
    return pa.large_binary() if _is(kind, "is_binary_view") else kind


def unify(
    schemas: Iterable[tuple[Path, pa.Schema]],
    *,
    keep: Callable[[pa.DataType], pa.DataType] = wide,
) -> pa.Schema:
    """The columns of all files, in the order they are met.

    Types that differ are promoted where Arrow can (int32 and int64, integer and float, null and
    anything); otherwise raises ``BadFolder`` with the column, both types and the file. The index
    that pandas leaves in a file is no column.
    """
    fields: dict[str, pa.Field] = {}
    for path, schema in schemas:
        if len(set(schema.names)) != len(schema.names):
            twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
            raise BadFolder(
                f"{path} has two columns of one name", value=twice, remedy="rename one of them"
            )
        for field in schema:
            if _PANDAS_INDEX.fullmatch(field.name):
                continue
            new = pa.field(field.name, keep(field.type))
            old = fields.setdefault(field.name, new)
            if old.type != new.type:
                fields[field.name] = _promote(old, new, path)
    return pa.schema(fields.values())


def _promote(old: pa.Field, new: pa.Field, path: Path) -> pa.Field:
    try:
        both = pa.unify_schemas([pa.schema([old]), pa.schema([new])], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise BadFolder(
            f"column {old.name!r} is {new.type} in {path} and {old.type} in a file before it",
            remedy="write it with one type in every file",
        ) from error
    return both.field(0)


def conform(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    """The table with the columns of ``schema``: reordered, cast, and null where it lacks one.

    Raises ``BadFolder`` with the column and the file where a value would not survive.
    """
    if table.schema.equals(schema):
        return table
    if not schema.names:
        return table.select([])
    columns = []
    for field in schema:
        position = table.schema.get_field_index(field.name)
        if position < 0:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(position)
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BadFolder(
                f"column {field.name!r} of {path} does not fit the type {field.type} that the"
                f" other files ask for ({error})",
                remedy="write it with one type in every file",
            ) from error
    return pa.table(columns, schema=schema)
