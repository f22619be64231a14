"""The one-line form of composed queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_back.errors import InvalidField
from search_back.search.syntax import Part, format_query, parse_query
from tests.search.lines import LINES


def parts_of_table(parts: list[list[Any]]) -> list[Part]:
    return [Part(kind, value, weight) for kind, value, weight in parts]


@pytest.mark.parametrize("row", LINES["read"], ids=lambda row: row["line"])
def test_lines_are_read(row: dict[str, Any]) -> None:
    assert list(parse_query(row["line"])) == parts_of_table(row["parts"])


@pytest.mark.parametrize("row", LINES["refused"], ids=lambda row: row["line"][:20] or "empty")
def test_lines_without_sense_are_refused_with_the_place(row: dict[str, Any]) -> None:
    place = rf"{row['reason']}.*\(character {row['position']}\)"
    with pytest.raises(InvalidField, match=place) as raised:
        parse_query(row["line"])
    assert raised.value.field == "query"
    assert raised.value.remedy


OPERATORS = re.compile(
    r'(?<!\S)[+-](?!\S)|\A\s*(?:[0-9.]+:|#[0-9]|id:|https?:|path:|[./~a-z]|")', re.IGNORECASE
)


@given(st.text().filter(lambda text: text.strip() and not OPERATORS.search(text)))
@example("Ünïcode-words, 12:30")
def test_words_without_operators_are_one_text(text: str) -> None:
    assert parse_query(text) == (Part("text", text.strip()),)


@given(st.from_regex(r"[a-z]+(?:[ -][a-z]+){0,5}", fullmatch=True).filter(lambda t: " - " not in t))
def test_plain_words_are_one_text(text: str) -> None:
    assert parse_query(text) == (Part("text", text),)


@given(st.text(alphabet='ab3 :+-"#./~\\\n', max_size=30))
def test_a_line_that_is_read_can_be_written_again(text: str) -> None:
    try:
        parts = parse_query(text)
    except InvalidField:
        return
    assert parse_query(format_query(parts)) == parts


words = st.text(alphabet='ab3é :+-"#./~\\\t', min_size=1).filter(lambda text: bool(text.strip()))
values = st.one_of(
    st.tuples(st.just("text"), words),
    st.tuples(st.just("text"), st.sampled_from(["#3", "id:3", "http://a", "./a.png", "2:a", '"'])),
    st.tuples(st.just("path"), words),
    st.tuples(st.just("url"), st.sampled_from(["http://a/b", "https://a?b=+-\"'"])),
    st.tuples(st.just("id"), st.integers(0, 2**63 - 1).map(str)),
)
weights = st.one_of(st.just(1.0), st.just(-1.0), st.floats(-1000, 1000))
parts_of = st.builds(lambda value, weight: Part(value[0], value[1], weight), values, weights)


@given(st.lists(parts_of, min_size=1, max_size=5))
def test_writing_is_the_inverse_of_reading(parts: list[Part]) -> None:
    assert list(parse_query(format_query(parts))) == parts


@pytest.mark.parametrize("row", LINES["written"], ids=lambda row: row["line"])
def test_quotes_are_written_where_they_are_needed(row: dict[str, Any]) -> None:
    assert format_query(parts_of_table(row["parts"])) == row["line"]


@pytest.mark.parametrize(
    "part",
    [
        Part("text", " "),
        Part("url", "ftp://a"),
        Part("url", "http://a b"),
        Part("id", "x"),
        Part("text", "a", 1000.5),
        Part("text", "a", float("nan")),
        Part("text", "a", float("-inf")),
    ],
)
def test_a_part_that_no_line_tells_is_refused(part: Part) -> None:
    with pytest.raises(InvalidField, match=f"no line can tell this {part.kind}"):
        format_query([part])
