"""The one-line form of composed queries."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_back.errors import InvalidField
from search_back.search.syntax import Part, format_query, parse_query

READ = {
    "golden retriever": [Part("text", "golden retriever")],
    "  dog\t": [Part("text", "dog")],
    "2:golden retriever + ./pool.jpg - leash": [
        Part("text", "golden retriever", 2.0),
        Part("path", "./pool.jpg"),
        Part("text", "leash", -1.0),
    ],
    "- leash": [Part("text", "leash", -1.0)],
    "+ dog\n-\t.5:cat": [Part("text", "dog"), Part("text", "cat", -0.5)],
    "-leash": [Part("text", "-leash")],
    "a - -b": [Part("text", "a"), Part("text", "-b", -1.0)],
    "well-known a+b c- d": [Part("text", "well-known a+b c- d")],
    "0:dog": [Part("text", "dog", 0.0)],
    "a - 0:b": [Part("text", "a"), Part("text", "b", 0.0)],
    "1000.:x": [Part("text", "x", 1000.0)],
    # A colon that makes no weight.
    "3:4 aspect ratio": [Part("text", "3:4 aspect ratio")],
    "2001: a space odyssey": [Part("text", "2001: a space odyssey")],
    "2:": [Part("text", "2:")],
    "1e3:x": [Part("text", "1e3:x")],
    "-2:x": [Part("text", "-2:x")],
    "12:30 + 2:12:30": [Part("text", "12:30"), Part("text", "2:12:30")],
    '2:"3 dogs"': [Part("text", "3 dogs", 2.0)],
    # Items.
    "#543": [Part("id", "543")],
    "2:id:543 - #7": [Part("id", "543", 2.0), Part("id", "7", -1.0)],
    "#543 bus": [Part("text", "#543 bus")],
    "id:x": [Part("text", "id:x")],
    # Addresses.
    "https://example.org/a+b.jpg?c=-1 + dog": [
        Part("url", "https://example.org/a+b.jpg?c=-1"),
        Part("text", "dog"),
    ],
    "2:HTTP://example.org": [Part("url", "HTTP://example.org", 2.0)],
    "https://example.org is down": [Part("text", "https://example.org is down")],
    # Paths.
    "../my dog.JPEG": [Part("path", "../my dog.JPEG")],
    "/a.png + ~/b.webp": [Part("path", "/a.png"), Part("path", "~/b.webp")],
    r"c:\a.gif - C:/b.tif": [Part("path", r"c:\a.gif"), Part("path", "C:/b.tif", -1.0)],
    "./notes.txt": [Part("text", "./notes.txt")],
    "pool.jpg": [Part("text", "pool.jpg")],
    '2:path:"Artist - ""Title"".jpg" + a': [
        Part("path", 'Artist - "Title".jpg', 2.0),
        Part("text", "a"),
    ],
    # Quotes.
    '"cat - dog"': [Part("text", "cat - dog")],
    '"2:cat"  - " say ""hi"" "': [Part("text", "2:cat"), Part("text", ' say "hi" ', -1.0)],
    '"a - b" c - d': [Part("text", '"a - b" c'), Part("text", "d", -1.0)],
    'a "b - c"': [Part("text", 'a "b'), Part("text", 'c"', -1.0)],
    '""""': [Part("text", '"')],
}

REFUSED = {
    "": (1, "empty"),
    " \n": (1, "empty"),
    "+": (2, "missing"),
    "dog +": (6, "missing"),
    "dog + - cat": (7, "missing"),
    'a + "dog': (5, "not closed"),
    'a + 2:"dog""': (7, "not closed"),
    'path:"x': (1, "not closed"),
    '2:" "': (3, "empty"),
    "a - 1000.5:dog": (5, "above 1000"),
    "9" * 400 + ":dog": (1, "above 1000"),
    "a + #9223372036854775808": (5, "so large"),
}


@pytest.mark.parametrize("text", READ)
def test_lines_are_read(text: str) -> None:
    assert list(parse_query(text)) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_lines_without_sense_are_refused_with_the_place(text: str) -> None:
    position, reason = REFUSED[text]
    with pytest.raises(InvalidField, match=rf"{reason}.*\(character {position}\)") as raised:
        parse_query(text)
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


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ([Part("text", "dog", 2.0), Part("id", "3", -0.25)], "2:dog - 0.25:#3"),
        ([Part("text", "a - b", -1.0)], '- "a - b"'),
        ([Part("text", "3 dogs", 2.0), Part("text", "3 dogs")], '2:"3 dogs" + 3 dogs'),
        ([Part("path", "a.jpg"), Part("path", "./a.jpg")], 'path:"a.jpg" + ./a.jpg'),
    ],
)
def test_quotes_are_written_where_they_are_needed(parts: list[Part], line: str) -> None:
    assert format_query(parts) == line


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
