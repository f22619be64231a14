"""One schema for the rows of many tables, and batches brought into it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from search_back.errors import ConfigError

ColumnTypes = Mapping[str, "pa.DataType | ConfigError"]
"""Of every column its type, or why it has none, in the order of their first appearance."""

_WITHOUT_METADATA: Final = "rename it, or give --enable-metadata False"


def unify(schemas: Sequence[tuple[Path, pa.Schema]]) -> ColumnTypes:
    """The types that hold the columns of all tables without a loss.

    Wider numbers win, ``null`` gives way to anything, dictionaries are stored as their values. A
    column whose types have nothing in common gets the error that says so. Raises ``ConfigError``
    where a table has two columns of one name.
    """
    found: dict[str, pa.DataType | ConfigError] = {}
    first: dict[str, tuple[Path, pa.DataType]] = {}
    for path, schema in schemas:
        if len(set(schema.names)) < len(schema.names):
            double = next(name for name in schema.names if schema.names.count(name) > 1)
            raise ConfigError(
                f"{path} has two columns of one name", value=double, remedy="rename one"
            )
        for field in schema:
            kind = plain(field.type)
            known = found.setdefault(field.name, kind)
            seen = first.setdefault(field.name, (path, kind))
            if isinstance(known, ConfigError) or known == kind:
                continue
            wider = _wider(known, kind)
            if wider is None:
                found[field.name] = ConfigError(
                    f"column {field.name!r} is {seen[1]} in {seen[0]}, {kind} in {path}",
                    remedy="make them alike, run them apart, or give --enable-metadata False",
                )
                continue
            found[field.name] = wider
            if pa.types.is_null(seen[1]):
                first[field.name] = (path, kind)
    return found


def carried_schema(types: ColumnTypes, *, without: Container[str | None]) -> pa.Schema:
    """The schema of what goes to the metadata; raises ``ConfigError`` for what cannot."""
    fields = []
    for name, kind in types.items():
        if name in without:
            continue
        if isinstance(kind, ConfigError):
            raise kind
        if not name:
            raise ConfigError("a column has no name", remedy=_WITHOUT_METADATA)
        fields.append(pa.field(name, kind))
    schema = pa.schema(fields)
    if not _stored(schema):
        field = next(field for field in fields if not _stored(pa.schema([field])))
        raise ConfigError(
            f"column {field.name!r} is of a type that Parquet does not hold",
            value=str(field.type),
            remedy="convert it, or give --enable-metadata False",
        )
    return schema


def fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` with exactly ``schema``; what it lacks is null.

    Raises ``pa.ArrowException`` where a value does not fit.
    """
    if not len(schema):
        return pa.RecordBatch.from_struct_array(pa.nulls(len(batch), pa.struct([])))
    columns = []
    for field in schema:
        if field.name not in batch.schema.names:
            columns.append(pa.nulls(len(batch), field.type))
            continue
        column = values(batch.column(field.name))
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def misspelt_rows(batch: pa.RecordBatch) -> dict[int, str]:
    """Rows with a text that is not UTF-8, each with the column; readers do not look at texts."""
    found: dict[int, str] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            for row in range(len(column)):
                try:
                    column.slice(row, 1).validate(full=True)
                except pa.ArrowInvalid:
                    found.setdefault(row, name)
    return found


def values(column: pa.Array) -> pa.Array:
    """``column`` with dictionaries written out."""
    kind = plain(column.type)
    return column if kind == column.type else column.cast(kind)


def plain(kind: pa.DataType) -> pa.DataType:
    """``kind`` without dictionaries, also within lists and structs."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_list(kind) and plain(kind.value_type) != kind.value_type:
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)))
    if pa.types.is_large_list(kind) and plain(kind.value_type) != kind.value_type:
        return pa.large_list(kind.value_field.with_type(plain(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    return kind


def is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    )


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if is_text(one) and is_text(other):
        return pa.large_string() if pa.large_string() in (one, other) else pa.string()
    # Arrow would make bytes of text and doubles of decimals, and cut unsigned 64 bits.
    for kind, rest in ((one, other), (other, one)):
        if is_text(kind) and not pa.types.is_null(rest):
            return None
        if pa.types.is_decimal(kind) and pa.types.is_floating(rest):
            return None
        if pa.types.is_uint64(kind) and pa.types.is_signed_integer(rest):
            return None
    try:
        both = [pa.schema([("", one)]), pa.schema([("", other)])]
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def _stored(schema: pa.Schema) -> bool:
    try:
        pq.ParquetWriter(pa.BufferOutputStream(), schema).close()
    except pa.ArrowException:
        return False
    return True
