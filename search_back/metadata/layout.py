"""How an Arrow column lies in plain arrays, and back: one dataset for each Arrow buffer.

A column is a group; what it holds depends on its type:

=================== =================================================================
strings, bytes      ``offsets`` (n + 1 int64) into ``bytes`` (uint8)
numbers, times      ``values`` (n of the type; times as integers in their unit)
booleans            ``bits`` (n bits, the lowest first, in uint8)
decimals, fixed     ``bytes`` (n × width uint8)
few distinct texts  ``codes`` (n uint8) into the group ``words``; a null is a word of its own
lists, maps         ``offsets`` (n + 1 int64) into the group ``item``; a map is a list of structs
fixed-size lists    the group ``item`` (n × size)
structs             the groups ``field.0``, ``field.1`` …
any, with nulls     also ``valid`` (n bits, the lowest first, 1: there is a value)
=================== =================================================================

:func:`scatter` writes a column to such arrays batch by batch, :func:`gather` views the arrays as a
column again without a copy. The caller validates it: that is quick, and sees offsets that end
outside their bytes. Arrow's maps have 32-bit offsets, so a map is viewed as the list that it is
kept as (:func:`stored`), and is made a map again when rows of it have been taken (:func:`restore`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Buffers = Callable[[str], Any]
"""The ``pa.Buffer`` of a dataset by its path; None where there is no such dataset."""

_BITS: Final = ("valid", "bits")


class Sink(Protocol):
    """Takes the arrays of a column piece by piece."""

    def numbers(self, path: str, values: NDArray[Any]) -> None:
        """Append to a dataset of numbers."""
        ...

    def bits(self, path: str, flags: NDArray[np.bool_]) -> None:
        """Append to a dataset of bits."""
        ...

    def last(self, path: str) -> int:
        """The last number that was appended; writes a 0 first where there is none yet."""
        ...


def supported(kind: pa.DataType) -> bool:
    """Whether columns of that type can be kept."""
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return supported(kind.value_type)
    if pa.types.is_map(kind):
        return supported(kind.key_type) and supported(kind.item_type)
    if pa.types.is_struct(kind):
        return all(supported(kind.field(i).type) for i in range(kind.num_fields))
    return (
        pa.types.is_null(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
        or (not pa.types.is_nested(kind) and _width(kind) is not None)
    )


def number_type(kind: pa.DataType) -> np.dtype[Any] | None:
    """The numpy type of a column kept as ``values``; None for other layouts."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        letter = (
            "f" if pa.types.is_floating(kind) else "i" if pa.types.is_signed_integer(kind) else "u"
        )
        return np.dtype(f"<{letter}{kind.bit_width // 8}")
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return np.dtype(f"<i{kind.bit_width // 8}")
    return None


def _width(kind: pa.DataType) -> int | None:
    try:
        return int(kind.bit_width)
    except ValueError:
        return None


def is_bits(path: str) -> bool:
    """Whether the dataset of that path counts bits rather than numbers."""
    return path.rpartition("/")[2] in _BITS


def is_text(kind: pa.DataType) -> bool:
    """Whether values are bytes behind offsets."""
    test = pa.types
    return bool(
        test.is_string(kind)
        or test.is_large_string(kind)
        or test.is_binary(kind)
        or test.is_large_binary(kind)
    )


def stored(kind: pa.DataType) -> pa.DataType:
    """The type in which a column is viewed: maps are lists of their entries."""
    if pa.types.is_map(kind):
        entry = pa.struct([("key", stored(kind.key_type)), ("value", stored(kind.item_type))])
        return pa.large_list(entry)
    if pa.types.is_large_list(kind):
        return pa.large_list(_stored_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_stored_field(kind.value_field), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([_stored_field(kind.field(i)) for i in range(kind.num_fields)])
    return kind


def _stored_field(field: pa.Field) -> pa.Field:
    return field.with_type(stored(field.type))


def restore(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """An array of the type ``stored(kind)`` as one of ``kind``; a view, but for offsets of maps."""
    if array.type == kind:
        return array
    buffers = array.buffers()
    if pa.types.is_struct(kind):
        own = buffers[:1]
        children = [restore(array.field(i), kind.field(i).type) for i in range(kind.num_fields)]
    elif pa.types.is_fixed_size_list(kind):
        own, children = buffers[:1], [restore(array.values, kind.value_type)]
    elif pa.types.is_large_list(kind):
        own, children = buffers[:2], [restore(array.values, kind.value_type)]
    else:
        offsets = pa.Array.from_buffers(pa.int64(), len(array) + 1, [None, buffers[1]])
        own = [buffers[0], offsets.cast(pa.int32()).buffers()[1]]
        children = [restore(array.values, pa.struct([kind.key_field, kind.item_field]))]
    assert array.offset == 0, "rows that were taken begin at 0"
    return pa.Array.from_buffers(kind, len(array), own, children=children)


def scatter(path: str, array: pa.Array, sink: Sink) -> None:
    """Append a piece of a column to the arrays under ``path``; any slice will do.

    Of a dictionary array only the codes: its words are a column of their own.
    """
    kind, rows, start = array.type, len(array), array.offset
    if pa.types.is_null(kind) or not rows:
        return
    if pa.types.is_dictionary(kind):
        sink.numbers(f"{path}/codes", array.indices.to_numpy())
        return
    sink.bits(f"{path}/valid", np.asarray(array.is_valid().to_numpy(zero_copy_only=False), bool))
    dtype = number_type(kind)
    if _has_offsets(kind):
        width = "<i4" if pa.types.is_map(kind) else "<i8"
        offsets = np.frombuffer(array.buffers()[1], width)[start : start + rows + 1]
        first, end = int(offsets[0]), int(offsets[-1])
        last = sink.last(f"{path}/offsets")
        sink.numbers(f"{path}/offsets", offsets[1:].astype("<i8", copy=False) - first + last)
        if pa.types.is_map(kind):
            scatter(f"{path}/item/field.0", array.keys.slice(first, end - first), sink)
            scatter(f"{path}/item/field.1", array.items.slice(first, end - first), sink)
        elif pa.types.is_large_list(kind):
            scatter(f"{path}/item", array.values.slice(first, end - first), sink)
        else:
            sink.numbers(f"{path}/bytes", _bytes(array.buffers()[2])[first:end])
    elif pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        scatter(f"{path}/item", array.values.slice(start * size, rows * size), sink)
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            scatter(f"{path}/field.{i}", array.field(i), sink)
    elif pa.types.is_boolean(kind):
        flags = array.fill_null(False).to_numpy(zero_copy_only=False)
        sink.bits(f"{path}/bits", np.asarray(flags, bool))
    elif dtype is not None:
        values = np.frombuffer(array.buffers()[1], dtype)
        sink.numbers(f"{path}/values", values[start : start + rows])
    else:
        size = kind.bit_width // 8
        sink.numbers(
            f"{path}/bytes", _bytes(array.buffers()[1])[start * size : (start + rows) * size]
        )


def gather(path: str, kind: pa.DataType, rows: int, buffers: Buffers) -> pa.Array:
    """The column of ``rows`` rows whose arrays lie under ``path``, as a view of them.

    Its type is ``stored(kind)``, or a dictionary of that where there are codes.
    """
    kind = stored(kind)
    if pa.types.is_null(kind) or not rows:
        return pa.nulls(rows, kind)
    if (codes := buffers(f"{path}/codes")) is not None:
        distinct = buffers(f"{path}/words/offsets").size // 8 - 1
        return pa.DictionaryArray.from_arrays(
            pa.Array.from_buffers(pa.uint8(), rows, [None, codes]),
            gather(f"{path}/words", kind, distinct, buffers),
            safe=False,
        )
    valid = buffers(f"{path}/valid")
    children: list[pa.Array] = []
    own: list[Any] = [valid]
    if _has_offsets(kind):
        offsets = buffers(f"{path}/offsets")
        own.append(offsets)
        if pa.types.is_large_list(kind):
            below = int(np.frombuffer(offsets, "<i8")[rows])
            if below < 0:
                raise pa.ArrowInvalid(f"offset {below} in {path}")
            children = [gather(f"{path}/item", kind.value_type, below, buffers)]
        else:
            own.append(buffers(f"{path}/bytes") or pa.py_buffer(b""))
    elif pa.types.is_fixed_size_list(kind):
        children = [gather(f"{path}/item", kind.value_type, rows * kind.list_size, buffers)]
    elif pa.types.is_struct(kind):
        children = [
            gather(f"{path}/field.{i}", kind.field(i).type, rows, buffers)
            for i in range(kind.num_fields)
        ]
    elif pa.types.is_boolean(kind):
        own.append(buffers(f"{path}/bits") or pa.py_buffer(b""))
    else:
        name = "bytes" if number_type(kind) is None else "values"
        own.append(buffers(f"{path}/{name}") or pa.py_buffer(b""))
    return pa.Array.from_buffers(kind, rows, own, children=children or None)


def _has_offsets(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_large_list(kind)
        or pa.types.is_map(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )


def _bytes(buffer: Any) -> NDArray[np.uint8]:
    return np.frombuffer(buffer if buffer is not None else b"", np.uint8)
