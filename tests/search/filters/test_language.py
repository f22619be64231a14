"""What filters mean, checked against plain Python; what is refused, and where."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import BadFilter, ConfigError, InvalidField
from search_back.search.filters import FilterLimits, parse
from search_back.search.filters.tokens import KEYWORDS

from .reference import COMPARE, SCHEMA, Said, filters, rows_of, table_of

LONG = FilterLimits(characters=100_000)


@settings(max_examples=200, deadline=None)
@given(said=filters, seed=st.integers(0, 2**32), count=st.integers(0, 12), chunk=st.integers(1, 5))
def test_a_row_passes_where_the_whole_is_true(
    said: Said, seed: int, count: int, chunk: int
) -> None:
    text, meaning = said
    rows = rows_of(seed, count)
    start = seed % 7
    for number, row in enumerate(rows):
        row["id"] = start + number
    found = parse(text, SCHEMA, limits=LONG).mask(table_of(rows, chunk=chunk), start)
    assert found.dtype == np.bool_
    assert found.tolist() == [meaning(row) is True for row in rows]


@settings(max_examples=150, deadline=None)
@given(said=filters)
def test_the_canonical_text_parses_to_an_equal_filter(said: Said) -> None:
    parsed = parse(said[0], SCHEMA, limits=LONG)
    again = parse(str(parsed), SCHEMA, limits=LONG)
    assert again == parsed
    assert hash(again) == hash(parsed)
    assert (str(again), again.key, again.columns) == (str(parsed), parsed.key, parsed.columns)


PIECES = [*KEYWORDS, "i64", "text", "flag", "tags", "taken", "exif", ".Make", "`and`", "``", "id"]
PIECES += ["'a'", '"', "'", "5", "-1.5", "1e400", "1e-999", "'2024-02-30'", "(", ")", ",", "="]
PIECES += ["<", ">=", "<>", "\0", "🐈", "\ud800", "'\ud800'", "null", "5x", ";", "raw", "empty"]


@settings(max_examples=600, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_no_text_raises_anything_but_the_documented_error(text: str) -> None:
    try:
        parsed = parse(text, SCHEMA)
    except BadFilter as error:
        assert 0 <= error.position <= len(text)
        assert error.field == "filter"
        assert f"at character {error.position + 1}" in str(error)
    else:
        assert parsed.mask(table_of(rows_of(0, 5))).shape == (5,)


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "not " * 100_000 + "flag", "not (" * 50_000, "(" * 100_000 + ")" * 100_000],
)
def test_hostile_nesting_is_refused(text: str) -> None:
    with pytest.raises(BadFilter, match="at most 4096 characters"):
        parse(text, SCHEMA)


def test_depth_is_bounded_where_the_length_is_not() -> None:
    limits = FilterLimits(characters=10**6, depth=100)
    with pytest.raises(BadFilter, match="at most 100 deep, at character 101 "):
        parse("(" * 100_000, SCHEMA, limits=limits)
    deep = parse("not (" * 100 + "flag" + ")" * 100, SCHEMA, limits=limits)
    assert str(deep) == "flag = true"
    with pytest.raises(ConfigError, match="≤ 100"):
        FilterLimits(depth=101)


def test_a_hundred_thousand_nots_are_one_or_none() -> None:
    limits = FilterLimits(characters=10**6)
    assert str(parse("not " * 100_000 + "flag", SCHEMA, limits=limits)) == "flag = true"
    assert str(parse("not " * 99_999 + "flag", SCHEMA, limits=limits)) == "not flag = true"


def test_the_deepest_tree_can_be_written_compared_and_asked() -> None:
    text = "i8 = 1"
    for level in range(100):
        text = f"not ({text} {'and' if level % 2 else 'or'} flag)"
    limits = FilterLimits(depth=100)
    deep = parse(text, SCHEMA, limits=limits)
    assert parse(str(deep), SCHEMA, limits=limits) == deep
    assert deep.mask(table_of(rows_of(1, 4))).shape == (4,)


def test_terms_and_members_are_bounded() -> None:
    assert parse(" or ".join(["i8=1"] * 256), SCHEMA).columns == ("i8",)
    with pytest.raises(BadFilter, match="at most 256 terms"):
        parse(" or ".join(["i8=1"] * 257), SCHEMA)
    limits = FilterLimits(members=3)
    assert str(parse("i8 in (1,2,1)", SCHEMA, limits=limits)) == "i8 in (1, 2)"
    with pytest.raises(BadFilter, match="in has at most 3 members, at character 14 "):
        parse("i8 in (1,2,1,1)", SCHEMA, limits=limits)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("i64=5 AND NOT flag", "i64 = 5 and not flag = true"),
        ("i64 == 1 or i64 <> 2 and i8 = 3", "i64 = 1 or i64 != 2 and i8 = 3"),
        (
            "(i64 = 1 or i64 = 2) and (i8 = 3 and i8 = 4)",
            "(i64 = 1 or i64 = 2) and i8 = 3 and i8 = 4",
        ),
        ("512 < i64", "i64 > 512"),
        ("i64 = 5.0 or i64 = -0 or i64 = 1e2", "i64 = 5 or i64 = 0 or i64 = 100"),
        ("f64 > 1e300", "f64 > 1E+300"),
        ('text = "it\'s"', "text = 'it''s'"),
        ("`text` is not null", "not text is null"),
        ("`exif`.`Make` Starts  With 'c'", "exif.Make starts with 'c'"),
        ("taken > '2024-02-29T12:00+02:00'", "taken > '2024-02-29T10:00:00Z'"),
        ("day >= '2024-02-29'", "day >= '2024-02-29'"),
        ("exactly = '1970-01-01 00:00:00.000000100'", "exactly = '1970-01-01T00:00:00.0000001Z'"),
        ("i64 not between 1 and u64", "not i64 between 1 and u64"),
        ("not (i8 = 1 or i8 = 2)", "not (i8 = 1 or i8 = 2)"),
        ("`and ``odd``, name.x` in (1)", "`and ``odd``, name.x` in (1)"),
    ],
)
def test_canonical_texts(text: str, canonical: str) -> None:
    assert str(parse(text, SCHEMA)) == canonical


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("i64 > 'x'", 7, "column i64 is int64, .* give a number"),
        ("i64 > taken", 7, "column i64 is int64, column taken is timestamp.* of one kind"),
        ("txet = 'a'", 1, "no column txet, .* did you mean text\\?"),
        ("TEXT = 'a'", 1, "did you mean text\\?"),
        ("flag and make = 'a'", 10, "did you mean exif.Make\\?"),
        ("exif.Mke = 'a'", 1, "no column exif.Mke, .*did you mean exif.Make\\?"),
        ("`exif.Make` = 'a'", 1, "no column `exif.Make`, .*did you mean exif.Make\\?"),
        ("exif = 'a'", 8, "exif is struct.*name one of its fields, as in exif.field"),
        ("tags = 'a'", 8, "tags is list.*ask what it contains"),
        ("tags < 'a'", 1, "which has no order"),
        ("tags contains 5", 15, "give a text in quotes"),
        ("raw = 'a'", 7, "raw is binary, .*only be asked whether it is null"),
        ("flag < true", 1, "flag is bool, which has no order, .*use = or !="),
        ("i64 contains '5'", 1, "i64 is int64, not text"),
        ("text contains 5", 15, "give a text in quotes"),
        ("text like 'a'", 6, "must be compared with something, .*contains"),
        ("i64", 4, "must be compared with something"),
        ("flag not", 9, "must be compared with something"),
        ("text = null", 8, "nothing equals null, .*is null"),
        ("text is 5", 9, "'null' is missing"),
        ("text starts 'a'", 13, "'with' is missing"),
        ("i64 between 1 or 2", 15, "'and' is missing"),
        ("i64 in 5", 8, r"'\(' is missing"),
        ("i64 in ()", 9, "a literal is missing"),
        ("i64 in (1, u64)", 12, "a literal is missing"),
        ("(i64 = 1", 9, r"'\)' is missing"),
        ("i64 = 1)", 8, "goes on where it should end"),
        ("i64 = 1 i8 = 2", 9, "goes on where it should end, .*join with and, or"),
        ("i64 =", 6, "name of a column is missing"),
        ("5 = 5", 5, "name of a column is missing, .*compare with a column"),
        ("5", 2, "a comparison is missing"),
        ("", 1, "a filter is empty"),
        ("  ", 3, "a filter is empty"),
        ("text = 'a", 8, "a quote ' is never closed"),
        ("i64 = 5px", 7, "a number runs into a word"),
        ("i64 = 1e999", 7, "too large or too small"),
        ("i64 = 1e99999999999999999999", 7, "too large an exponent"),
        ("f64 > 1e-500", 7, "too large or too small"),
        ("taken > '2024-02-30'", 9, "give a date or a time such as"),
        ("taken > '2024-02-29T25:00'", 9, "give a date or a time"),
        ("taken > '2024-02-29T12:00+24:00'", 9, "give a date or a time"),
        ("taken > '0001-01-01T00:00+01:00'", 9, "give a date or a time"),
        ("taken > 5", 9, "give a date or a time"),
        ("i64 = 5; drop", 8, "';' has no meaning"),
        ("text = '\ud800'", 8, "not valid Unicode"),
    ],
)
def test_a_mistake_is_shown_with_its_place(text: str, place: int, message: str) -> None:
    with pytest.raises(BadFilter) as caught:
        parse(text, SCHEMA)
    assert caught.value.position == place - 1
    assert re.search(message, str(caught.value)), str(caught.value)
    assert caught.value.code == "bad_filter"
    assert isinstance(caught.value, InvalidField)


def test_only_some_characters_around_a_mistake_are_shown() -> None:
    with pytest.raises(BadFilter) as caught:
        parse("flag or " * 20 + "i64 = 'x' or " + " or ".join(["flag"] * 20), SCHEMA)
    assert caught.value.value == "…ag or i64 = 'x' or flag or flag or f…"


def test_a_column_called_id_goes_before_the_ids_of_rows() -> None:
    table = pa.table({"id": ["a", "b"]})
    assert parse("id = 'b'", table.schema).mask(table, 5).tolist() == [False, True]
    assert parse("id = 'b'", table.schema).columns == ("id",)
    other = table.rename_columns(["name"])
    assert parse("id = 6", other.schema).mask(other, 5).tolist() == [False, True]
    assert parse("id = 6", other.schema).columns == ()


@pytest.mark.parametrize(
    ("needle", "found"),
    [
        ("k", ["K", "k", "\u212a"]),
        ("ß", ["ß", "ẞ"]),
        ("ss", ["SS"]),
        ("σ", ["ς", "Σ"]),
        ("i", ["i", "I"]),
        ("ё", ["Ё"]),
        (".", ["."]),
        ("", ["K", "k", "\u212a", "ß", "ẞ", "SS", "ς", "Σ", "i", "I", "ı", "İ", "Ё", "."]),
    ],
)
def test_letters_match_their_other_cases(needle: str, found: list[str]) -> None:
    every = ["K", "k", "\u212a", "ß", "ẞ", "SS", "ς", "Σ", "i", "I", "ı", "İ", "Ё", ".", None]
    table = pa.table({"text": every})
    for part in ("contains", "starts with", "ends with"):
        mask = parse(f"text {part} '{needle}'", table.schema).mask(table)
        assert [text for text, passes in zip(every, mask, strict=True) if passes] == found


def test_the_longest_needle_is_found() -> None:
    needle = "яЖK" * 1300
    table = pa.table({"text": ["x" + needle.swapcase() + "y", needle[1:], None]})
    assert parse(f"text contains '{needle}'", table.schema).mask(table).tolist() == [1, 0, 0]


def test_words_of_other_alphabets_need_no_backticks() -> None:
    table = pa.table({"ширина": [1, 2]})
    parsed = parse("ширина > 1", table.schema)
    assert str(parsed) == "ширина > 1"
    assert parsed.mask(table).tolist() == [False, True]


def test_extension_types_are_asked_for_what_they_store() -> None:
    class Name(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.string(), "test.name")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

    type_ = Name()
    table = pa.table({"name": pa.ExtensionArray.from_storage(type_, pa.array(["a", "b"]))})
    assert parse("name = 'b'", table.schema).mask(table).tolist() == [False, True]


def test_decimals_wider_than_any_common_type_compare_as_floats() -> None:
    wide, fine = pa.decimal256(76, 0), pa.decimal256(76, 70)
    table = pa.table({"a": pa.array([1, 2, None], wide), "b": pa.array([1, 1, 1], fine)})
    assert parse("a > b", table.schema).mask(table).tolist() == [False, True, False]
    assert parse("a < 1e80 and b < 1e80", table.schema).mask(table).tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["decimal32", "decimal64", "decimal128", "decimal256"])
def test_decimals_of_every_width(name: str) -> None:
    if not hasattr(pa, name):
        pytest.skip("this pyarrow has no narrow decimals")
    values = [Decimal("1.50"), Decimal("-0.25"), None]
    table = pa.table({"n": pa.array(values, getattr(pa, name)(6, 2)), "m": [1, 1, 1]})
    for text, passing in {
        "n > 1.499": [True, False, False],
        "n in (1.5, 7, 1e9, 0.001)": [True, False, False],
        "n < m": [False, True, False],
        "n < 1e6 and n > -1e6 and n != 0.123": [True, True, False],
    }.items():
        assert parse(text, table.schema).mask(table).tolist() == passing


@pytest.mark.parametrize("sign", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("limit", ["1000", "-1000", "127", "-128", "127.5", "-128.5", "1e300"])
def test_literals_around_the_range_of_a_type(sign: str, limit: str) -> None:
    values = [-128, 0, 127]
    narrow = pa.table({"n": pa.array([*values, None], pa.int8())})
    expected = [COMPARE[sign](Decimal(value), Decimal(limit)) for value in values]
    found = parse(f"n {sign} {limit}", narrow.schema).mask(narrow)
    assert found.tolist() == [*expected, False]


@pytest.mark.parametrize("sign", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize(("fine", "coarse"), [("ns", "us"), ("us", "ms"), ("ms", "s")])
def test_times_of_two_units_compare_exactly(sign: str, fine: str, coarse: str) -> None:
    many, few = [1500, -1500, 1000, 999, -1000], [1, -2, 1, 1, -1]
    columns = {"a": pa.array(many, pa.timestamp(fine)), "b": pa.array(few, pa.timestamp(coarse))}
    table = pa.table(columns)
    expected = [COMPARE[sign](a, b * 1000) for a, b in zip(many, few, strict=True)]
    assert parse(f"a {sign} b", table.schema).mask(table).tolist() == expected
