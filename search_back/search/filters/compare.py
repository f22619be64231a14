"""One column against a literal or another column: booleans that are null where it is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search_back.search.filters.instants import NS_OF_DAY, Instant
from search_back.search.filters.nodes import Sign, Value

_COMPARE: Final[dict[Sign, Callable[[Any, Any], pa.Array]]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_FLOORED: Final[dict[Sign, Sign]] = {"<": "<=", ">=": ">"}
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECOND: Final = 10**9
_UNKNOWN: Final = pa.scalar(None, pa.bool_())
_EXACT: Final = Context(prec=400)


def constant(array: pa.Array, verdict: bool) -> pa.Array:
    """That verdict of every value, unknown where there is none."""
    return pc.if_else(array.is_valid(), verdict, _UNKNOWN)


def compare(array: pa.Array, sign: Sign, value: Value) -> pa.Array:
    """Each value against a literal of its kind.

    Numbers and times compare exactly, whatever the literal's digits and the column's range; but
    a column of floats takes the literal at its own precision, so that 0.1 equals what it keeps
    of 0.1.
    """
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.bool_())
    if isinstance(value, bool | str):
        return _COMPARE[sign](array, pa.scalar(value, array.type))
    if pa.types.is_floating(array.type):
        return _compare_floats(array, sign, value)
    units, array = _units(array, value)
    floor = math.floor(units)
    if units != floor:
        if sign in ("=", "!="):
            return constant(array, sign == "!=")
        sign = _FLOORED.get(sign, sign)
    scalar = _scalar(floor, array.type)
    if scalar is None:
        # Out of the range of the type, so that all values lie on the same side of it.
        above = sign in ("!=", "<", "<=") if floor > 0 else sign in ("!=", ">", ">=")
        return constant(array, above)
    return _COMPARE[sign](array, scalar)


def is_in(array: pa.Array, values: Sequence[Value]) -> pa.Array:
    """Whether each value equals one of some literals of its kind."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.bool_())
    if pa.types.is_floating(array.type):
        numbers = [n for n in (_rounded(value, array.type) for value in values) if n is not None]
        floats = array.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        found = pa.array(np.isin(floats, np.array(numbers, np.float64)))
    elif isinstance(values[0], bool | str):
        found = pc.is_in(array, value_set=pa.array(values, array.type))
    else:
        if pa.types.is_decimal(array.type) and array.type.bit_width < 128:
            # Arrow looks up no narrower decimals.
            array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
        exact = [_units(array, value)[0] for value in values]
        _, array = _units(array, values[0])
        scalars = [_scalar(int(units), array.type) for units in exact if units.denominator == 1]
        members = [scalar.as_py() for scalar in scalars if scalar is not None]
        found = pc.is_in(array, value_set=pa.array(members, array.type))
    return pc.if_else(array.is_valid(), found, _UNKNOWN)


def compare_columns(left: pa.Array, sign: Sign, right: pa.Array) -> pa.Array:
    """Each value against that of another column of the same kind.

    Whole numbers and times compare exactly; a number that is none is compared as float64.
    """
    if pa.types.is_null(left.type) or pa.types.is_null(right.type):
        return pa.nulls(len(left), pa.bool_())
    if pa.types.is_temporal(left.type):
        return _compare_times(left, sign, right)
    if left.type != right.type or pa.types.is_float16(left.type):
        both = _common(left.type, right.type)
        # Arrow calls it unsafe to round an integer.
        safe = not pa.types.is_floating(both)
        left, right = left.cast(both, safe=safe), right.cast(both, safe=safe)
    return _COMPARE[sign](left, right)


def _compare_floats(array: pa.Array, sign: Sign, value: Any) -> pa.Array:
    rounded = _rounded(value, array.type)
    if rounded is None:
        rounded = float(value)
        array = array.cast(pa.float64())
    elif pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    return _COMPARE[sign](array, pa.scalar(rounded, array.type))


def _rounded(value: Any, type_: pa.DataType) -> float | None:
    """A number at the precision of the type; None where that has none so large."""
    with np.errstate(over="ignore", under="ignore"):
        near = float(type_.to_pandas_dtype()(float(value)))
    return near if math.isfinite(near) else None


def _units(array: pa.Array, value: Any) -> tuple[Fraction, pa.Array]:
    """A literal in the units that the array keeps as whole numbers, and those of times as such."""
    type_ = array.type
    if not isinstance(value, Instant):
        scale = type_.scale if pa.types.is_decimal(type_) else 0
        return Fraction(value) * Fraction(10) ** scale, array
    if pa.types.is_date32(type_):
        return Fraction(value.ns, NS_OF_DAY), array.view(pa.int32())
    unit = "ms" if pa.types.is_date64(type_) else type_.unit
    return Fraction(value.ns * _PER_SECOND[unit], _SECOND), array.view(pa.int64())


def _scalar(units: int, type_: pa.DataType) -> pa.Scalar | None:
    """So many units of an integer or decimal type; None where they are out of its range."""
    if pa.types.is_decimal(type_):
        if abs(units) >= 10**type_.precision:
            return None
        return pa.scalar(Decimal(units).scaleb(-type_.scale, _EXACT), type_)
    limits = np.iinfo(type_.to_pandas_dtype())
    return pa.scalar(units, type_) if limits.min <= units <= limits.max else None


def _common(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """The type that two different ones of a kind are compared as."""
    types = pa.types
    if not all(types.is_integer(t) or types.is_decimal(t) for t in (left, right)):
        return pa.large_string() if not types.is_primitive(left) else pa.float64()
    scales = [t.scale if types.is_decimal(t) else 0 for t in (left, right)]
    digits = [t.precision - t.scale if types.is_decimal(t) else 20 for t in (left, right)]
    scale = max(*scales, 0)
    precision = max(digits) + scale
    return pa.decimal256(precision, scale) if precision <= 76 else pa.float64()


def _compare_times(left: pa.Array, sign: Sign, right: pa.Array) -> pa.Array:
    """By seconds, then by the rest: no unit is turned into one that could not hold it."""
    (seconds, rest), (other_seconds, other_rest) = _split(left), _split(right)
    same = seconds == other_seconds
    if sign in ("=", "!="):
        found = same & (rest == other_rest)
        found = ~found if sign == "!=" else found
    else:
        compare_rest = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
        earlier = seconds < other_seconds if sign[0] == "<" else seconds > other_seconds
        found = earlier | (same & compare_rest[sign](rest, other_rest))
    return pc.if_else(pc.and_(left.is_valid(), right.is_valid()), pa.array(found), _UNKNOWN)


def _split(array: pa.Array) -> tuple[Any, Any]:
    """Whole seconds since 1970, and the nanoseconds beyond them."""
    if pa.types.is_date32(array.type):
        days = array.view(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        return days.astype(np.int64) * 86_400, np.zeros(len(days), np.int64)
    per = _PER_SECOND["ms" if pa.types.is_date64(array.type) else array.type.unit]
    units = array.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    seconds, rest = np.divmod(units, per)
    return seconds, rest * (_SECOND // per)
