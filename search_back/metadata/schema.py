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
    return _rebuild(kind, _widen)


def same(kind: pa.DataType) -> pa.DataType:
    """The type as the file has it, but no dictionary and no view: of views Arrow takes no rows."""
    return _rebuild(kind, _decode)


def _rebuild(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """The type, and each that it is made of, after a change; names of list items are Arrow's."""
    kind = change(kind)
    test = pa.types
    if test.is_map(kind):
        return pa.map_(_rebuild(kind.key_type, change), _rebuild(kind.item_type, change))
    if test.is_large_list(kind):
        return pa.large_list(_rebuild(kind.value_type, change))
    if test.is_list(kind):
        return pa.list_(_rebuild(kind.value_type, change))
    if test.is_fixed_size_list(kind):
        return pa.list_(_rebuild(kind.value_type, change), kind.list_size)
    if test.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([pa.field(field.name, _rebuild(field.type, change)) for field in fields])
    return kind


def _decode(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is(kind, "is_string_view"):
        return pa.large_string()
    if _is(kind, "is_binary_view"):
        return pa.large_binary()
    if _is(kind, "is_list_view") or _is(kind, "is_large_list_view"):
        return pa.large_list(kind.value_field)
    return kind


def _widen(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    kind = _decode(kind)
    if pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_binary(kind):
        return pa.large_binary()
    return pa.large_list(kind.value_field) if pa.types.is_list(kind) else kind


def _is(kind: pa.DataType, test: str) -> bool:
    return hasattr(pa.types, test) and bool(getattr(pa.types, test)(kind))


def unify(
    schemas: Iterable[tuple[Path, pa.Schema]],
    *,
    keep: Callable[[pa.DataType], pa.DataType] = wide,
) -> pa.Schema:
    """The columns of all files, in the order they are met.

    Types that differ are promoted where no value changes: int32 and int64, integer and float
    (checked as values are read), units of time, null and anything, fields that a struct lacks.
    Otherwise raises ``BadFolder`` with the column, both types and both files. The index that
    pandas leaves in a file is no column.
    """
    fields: dict[str, pa.Field] = {}
    first: dict[str, Path] = {}
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
                fields[field.name] = _promote(old, new, (first[field.name], path))
            if field.name not in first or pa.types.is_null(old.type):
                first[field.name] = path
    return pa.schema(fields.values())


def _promote(old: pa.Field, new: pa.Field, files: tuple[Path, Path]) -> pa.Field:
    try:
        both = pa.unify_schemas(
            [pa.schema([old]), pa.schema([new])], promote_options="permissive"
        ).field(0)
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise _conflict(old, new, files) from error
    if not (_keeps(old.type, both.type) and _keeps(new.type, both.type)):
        raise _conflict(old, new, files)
    return both


def _conflict(old: pa.Field, new: pa.Field, files: tuple[Path, Path]) -> BadFolder:
    return BadFolder(
        f"column {old.name!r} is {old.type} in {files[0]} and {new.type} in {files[1]}",
        remedy="write it with one type in every file",
    )


def _keeps(kind: pa.DataType, other: pa.DataType) -> bool:
    """Whether values stay what they are, or the cast sees that one does not.

    Arrow would make bytes of texts and floats of decimals.
    """
    test = pa.types
    if test.is_null(kind):
        return True
    if test.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return all(_keeps(field.type, other.field(field.name).type) for field in fields)
    if test.is_map(kind):
        return _keeps(kind.key_type, other.key_type) and _keeps(kind.item_type, other.item_type)
    if test.is_nested(kind):
        return _keeps(kind.value_type, other.value_type)
    text = (test.is_string(kind) or test.is_large_string(kind)) == (
        test.is_string(other) or test.is_large_string(other)
    )
    return text and not (test.is_decimal(kind) and test.is_floating(other))


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
                f"column {field.name!r} of {path} is {column.type} and does not fit {field.type},"
                f" the type that goes with the other files ({error})",
                remedy="write it with one type in every file",
            ) from error
    return pa.table(columns, schema=schema)
