"""Tables of every type, filters on them, and what they mean, in plain Python."""

from __future__ import annotations

import datetime as dt
import operator
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

Row = dict[str, Any]
Truth = bool | None
Meaning = Callable[[Row], Truth]
Said = tuple[str, Meaning]
"""A filter, and what it says of a row."""

BIG = 2**53
INT64 = [0, 1, -1, 5, BIG, BIG + 1, -BIG - 1, 2**63 - 1, -(2**63), None]
UINT64 = [0, 1, 5, BIG + 1, 2**63 - 1, 2**63, 2**64 - 1, None]
FLOATS = [0.0, -0.0, 0.1, 0.5, -1.5, 5.0, 1e30, float("nan"), float("inf"), -float("inf"), None]
HALVES = [0.0, 0.1, 5.0, -1.5, 60000.0, float("nan"), None]
TEXTS = ["", "a", "A", "aB", "ab%", "été", "ÉTÉ", "жЖ", "🐈", "a\nb", "b'\"`", "$^.*\\", None]
SECONDS = [0, 1, -1, 86_400, 1_700_000_000, -62_135_596_800 + 86_400, None]
MICROS = [None if s is None else s * 10**6 + 250_000 for s in SECONDS]
NANOS = [0, 1, -1, 250_000_000, 1_700_000_000 * 10**9 + 1, 2**63 - 1, -(2**63), None]
DAYS = [0, 1, -1, 19_675, None]
DECIMALS = [Decimal("0.00"), Decimal("0.10"), Decimal("-1.50"), Decimal("99999999.99"), None]
LISTS = [[], ["a"], ["A", None], ["🐈", "a", "a"], [None], None]
NUMBERS = [[], [1], [BIG + 1, None, 5], [None], None]
PAIRS = [[1, 5], [None, 0], [5, None], None]
STRUCTS = [
    {"Make": "a", "Focal length": 0.5, "deep": {"n": 5}},
    {"Make": None, "Focal length": float("nan"), "deep": None},
    {"Make": "A", "Focal length": None, "deep": {"n": None}},
    None,
]
ODD = "and `odd`, name.x"
_DEEP = pa.struct([("n", pa.int32())])
_STRUCT = pa.struct([("Make", pa.string()), ("Focal length", pa.float64()), ("deep", _DEEP)])

POOLS: dict[str, tuple[pa.DataType, Sequence[Any]]] = {
    "i64": (pa.int64(), INT64),
    "i8": (pa.int8(), [0, 1, 5, -128, 127, None]),
    "u64": (pa.uint64(), UINT64),
    "f64": (pa.float64(), FLOATS),
    "f32": (pa.float32(), FLOATS),
    "f16": (pa.float16(), HALVES),
    "price": (pa.decimal128(10, 2), DECIMALS),
    "text": (pa.string(), TEXTS),
    "large": (pa.large_string(), TEXTS),
    "view": (pa.string_view(), TEXTS),
    "word": (pa.dictionary(pa.int8(), pa.string()), TEXTS),
    "flag": (pa.bool_(), [True, False, None]),
    "taken": (pa.timestamp("us", "Europe/Berlin"), MICROS),
    "exactly": (pa.timestamp("ns"), NANOS),
    "seconds": (pa.timestamp("s"), SECONDS),
    "day": (pa.date32(), DAYS),
    "day64": (pa.date64(), [None if d is None else d * 86_400_000 for d in DAYS]),
    "tags": (pa.list_(pa.string()), LISTS),
    "numbers": (pa.large_list(pa.int64()), NUMBERS),
    "pair": (pa.list_(pa.int16(), 2), PAIRS),
    "exif": (_STRUCT, STRUCTS),
    ODD: (pa.int64(), INT64),
    "empty": (pa.null(), [None]),
    "raw": (pa.binary(), [b"", b"a", None]),
}
SCHEMA = pa.schema([(name, type_) for name, (type_, _) in POOLS.items()])


def rows_of(seed: int, count: int) -> list[Row]:
    """Rows as Arrow is given them; times as integers of their unit."""
    chosen = random.Random(seed)
    return [{name: chosen.choice(pool) for name, (_, pool) in POOLS.items()} for _ in range(count)]


def table_of(rows: list[Row], *, chunk: int = 1000) -> pa.Table:
    """The rows, in chunks, each cut out of a longer array."""
    padded = [rows[0], *rows, rows[0]] if rows else []
    columns = [_array([row[name] for row in padded], SCHEMA.field(name).type) for name in POOLS]
    table = pa.table(columns, schema=SCHEMA).slice(1, len(rows))
    parts = [table.slice(start, chunk) for start in range(0, len(rows), chunk)]
    return pa.concat_tables(parts) if parts else table


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_date32(type_):
        return pa.array(values, pa.int32()).cast(type_)
    if pa.types.is_temporal(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_float16(type_):
        return pa.array([None if v is None else np.float16(v) for v in values], type_)
    return pa.array(values, type_)


@dataclass(frozen=True)
class Field:
    """How a column is written, what kind it is, what a row has there."""

    text: str
    kind: str
    value: Callable[[Row], Any]
    precision: Callable[[float], Any] = float


def _at(name: str, change: Callable[[Any], Any] = lambda v: v) -> Callable[[Row], Any]:
    return lambda row: None if row[name] is None else change(row[name])


def _inside(*path: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        found: Any = row
        for name in path:
            found = None if found is None else found[name]
        return found

    return value


def _float32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _half(value: float) -> float:
    """At the precision of a half, unless that has none so large."""
    with np.errstate(over="ignore"):
        near = float(np.float16(value))
    return value if np.isinf(near) else near


_DAY = 86_400 * 10**9
WHOLE = [Field(name, "whole", _at(name)) for name in ("i64", "i8", "u64", "price")] + [
    Field("`and ``odd``, name.x`", "whole", _at(ODD)),
    Field("exif.deep.n", "whole", _inside("exif", "deep", "n")),
    Field("id", "whole", lambda row: row["id"]),
]
BROKEN = [
    Field("f64", "float", _at("f64")),
    Field("f32", "float", _at("f32", _float32), _float32),
    Field("f16", "float", _at("f16", lambda v: float(np.float16(v))), _half),
    Field("`exif`.`Focal length`", "float", _inside("exif", "Focal length")),
]
TEXT = [Field(name, "text", _at(name)) for name in ("text", "large", "view", "word")] + [
    Field("exif.Make", "text", _inside("exif", "Make"))
]
TIME = [
    Field("taken", "time", _at("taken", lambda v: v * 1000)),
    Field("exactly", "time", _at("exactly")),
    Field("seconds", "time", _at("seconds", lambda v: v * 10**9)),
    Field("day", "time", _at("day", lambda v: v * _DAY)),
    Field("day64", "time", _at("day64", lambda v: v * 10**6)),
]
FLAG = [Field("flag", "flag", _at("flag"))]
EMPTY = [Field("empty", "empty", _at("empty"))]
NULLABLE = [Field(name, "any", _at(name)) for name in ("raw", "tags", "pair", "exif")]


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

numbers = st.one_of(
    st.sampled_from(["0", "1", "5", "-1", "+5", "5.0", "5e0", ".5", "0.1", "-1.5", "0.10", "1e30"]),
    st.sampled_from([str(BIG + 1), f"{BIG + 1}.5", str(2**63), str(2**64), str(-(2**63)), "1e300"]),
    st.sampled_from(["0.005", "99999999.99", "1e10", "-1e-300", "127.5", "-128.5", "0e999"]),
    st.integers(-6, 6).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20).map(
        lambda d: f"{d:f}"
    ),
)
flags = st.sampled_from(["true", "false", "TRUE", "False"])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, str]:
    """A quoted literal and its value."""
    value = draw(
        st.sampled_from([t for t in TEXTS if t is not None])
        | st.text("aAbBéÉжЖ🐈%$^.*\\\n\0'\"` ", max_size=4)
    )
    quote = draw(st.sampled_from("'\""))
    return quote + value.replace(quote, quote * 2) + quote, value


@st.composite
def times(draw: st.DrawFn) -> tuple[str, int]:
    """A quoted literal and its nanoseconds since 1970, UTC."""
    known = [v * 10**9 for v in SECONDS if v is not None]
    known += [v * 1000 for v in MICROS if v is not None]
    known += [v for v in NANOS if v is not None] + [v * _DAY for v in DAYS if v is not None]
    ns = draw(st.sampled_from(known) | st.integers(-2 * 10**18, 9 * 10**18))
    hours = draw(st.sampled_from([None, 0, 2, -11]))
    seconds, rest = divmod(ns, 10**9)
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds, hours=hours or 0)
    text = moment.isoformat(sep=draw(st.sampled_from("T ")))
    if rest:
        text += f".{rest:09}"
    if hours is not None:
        text += f"{hours:+03}:00" if hours else draw(st.sampled_from(["Z", "+00:00", "-0000"]))
    elif not ns % _DAY and draw(st.booleans()):
        text = text[:10]
    return f"'{text}'", ns


@st.composite
def literals(draw: st.DrawFn, field: Field) -> tuple[str, Any]:
    """As written, and the value that the column compares with."""
    if field.kind in ("whole", "float"):
        text = draw(numbers)
        return text, Decimal(text) if field.kind == "whole" else field.precision(float(text))
    if field.kind == "text":
        return draw(texts())
    if field.kind == "time":
        return draw(times())
    text = draw(flags)
    return text, text.lower() == "true"


def _word(draw: st.DrawFn, words: str) -> str:
    """Keywords in any case, with any space between."""
    chosen = draw(st.sampled_from([str.lower, str.upper, str.title]))
    return draw(st.sampled_from([" ", "  ", "\n\t"])).join(chosen(word) for word in words.split())


def _known(test: Callable[..., bool], *values: Any) -> Truth:
    return None if any(value is None for value in values) else test(*values)


def _and(left: Truth, right: Truth) -> Truth:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _not(value: Truth) -> Truth:
    return None if value is None else not value


@st.composite
def comparisons(draw: st.DrawFn) -> Said:
    field = draw(st.sampled_from(WHOLE + BROKEN + TEXT + TIME + FLAG + EMPTY))
    few = ["=", "!="]
    sign = draw(st.sampled_from(few if field.kind == "flag" else list(COMPARE)))
    text, value = draw(literals(field))
    space = draw(st.sampled_from(["", " "]))

    def meaning(row: Row) -> Truth:
        return _known(lambda found: COMPARE[sign](found, value), field.value(row))

    if draw(st.booleans()):
        # A sign would run into a number before it, as in 1-1, so there is always a space.
        return f"{text} {MIRROR.get(sign, sign)}{space}{field.text}", meaning
    return f"{field.text}{space}{sign}{space}{text}", meaning


@st.composite
def column_comparisons(draw: st.DrawFn) -> Said:
    family = draw(st.sampled_from([WHOLE + BROKEN, TEXT, TIME, FLAG]))
    left, right = (draw(st.sampled_from(family + EMPTY)) for _ in range(2))
    sign = draw(st.sampled_from(["=", "!="] if "flag" in (left.kind, right.kind) else [*COMPARE]))

    def meaning(row: Row) -> Truth:
        a, b = left.value(row), right.value(row)
        if {left.kind, right.kind} == {"whole", "float"} and a is not None and b is not None:
            a, b = float(a), float(b)
        return _known(COMPARE[sign], a, b)

    return f"{left.text} {sign} {right.text}", meaning


@st.composite
def members(draw: st.DrawFn) -> Said:
    field = draw(st.sampled_from(WHOLE + BROKEN + TEXT + TIME + FLAG + EMPTY))
    chosen = draw(st.lists(literals(field), min_size=1, max_size=4))
    values = [value for _, value in chosen]
    turned = draw(st.booleans())
    words = _word(draw, "not in" if turned else "in")
    text = f"{field.text} {words} ({', '.join(written for written, _ in chosen)})"

    def meaning(row: Row) -> Truth:
        found = _known(lambda a: any(a == b for b in values), field.value(row))
        return _not(found) if turned else found

    return text, meaning


@st.composite
def ranges(draw: st.DrawFn) -> Said:
    field = draw(st.sampled_from(WHOLE + BROKEN + TEXT + TIME + EMPTY))
    low_text, low = draw(literals(field))
    high_text, high = draw(literals(field))
    turned = draw(st.booleans())
    words = _word(draw, "not between" if turned else "between")

    def meaning(row: Row) -> Truth:
        found = field.value(row)
        inside = _and(_known(operator.ge, found, low), _known(operator.le, found, high))
        return _not(inside) if turned else inside

    return f"{field.text} {words} {low_text} {_word(draw, 'and')} {high_text}", meaning


@st.composite
def matches(draw: st.DrawFn) -> Said:
    field = draw(st.sampled_from(TEXT + EMPTY))
    text, value = draw(texts())
    part = draw(st.sampled_from(["contains", "starts with", "ends with"]))
    test: Callable[[str, str], bool] = {
        "contains": operator.contains,
        "starts with": str.startswith,
        "ends with": str.endswith,
    }[part]
    turned = draw(st.booleans())

    def meaning(row: Row) -> Truth:
        found = _known(lambda a: test(a.lower(), value.lower()), field.value(row))
        return _not(found) if turned else found

    return f"{field.text} {_word(draw, 'not ' + part if turned else part)} {text}", meaning


@st.composite
def elements(draw: st.DrawFn) -> Said:
    name, kind = draw(st.sampled_from([("tags", "text"), ("numbers", "whole"), ("pair", "whole")]))
    text, value = draw(literals(Field(name, kind, _at(name))))

    def meaning(row: Row) -> Truth:
        return _known(lambda a: any(e is not None and e == value for e in a), row[name])

    return f"{name} {_word(draw, 'contains')} {text}", meaning


@st.composite
def nulls(draw: st.DrawFn) -> Said:
    field = draw(st.sampled_from(WHOLE + BROKEN + TEXT + TIME + FLAG + EMPTY + NULLABLE))
    turned = draw(st.booleans())
    words = _word(draw, "is not null" if turned else "is null")
    return f"{field.text} {words}", lambda row: (field.value(row) is None) != turned


def _joined(draw: st.DrawFn, parts: list[Said], word: str) -> Said:
    def meaning(row: Row) -> Truth:
        values = [said(row) for _, said in parts]
        sure = word == "or"
        if sure in values:
            return sure
        return None if None in values else not sure

    return f" {_word(draw, word)} ".join(f"({text})" for text, _ in parts), meaning


@st.composite
def _nested(draw: st.DrawFn, inner: st.SearchStrategy[Said]) -> Said:
    word = draw(st.sampled_from(["and", "or", "not"]))
    if word == "not":
        text, said = draw(inner)
        return f"{_word(draw, 'not')} ({text})", lambda row: _not(said(row))
    return _joined(draw, draw(st.lists(inner, min_size=2, max_size=3)), word)


tests = st.one_of(
    comparisons(),
    column_comparisons(),
    members(),
    ranges(),
    matches(),
    elements(),
    nulls(),
    st.just(("flag", lambda row: row["flag"])),
)
filters = st.recursive(tests, _nested, max_leaves=6)
