"""Cursors and what they cover."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import InvalidField
from search_back.search.cursor import Cursor, CursorSeal, query_hash
from search_back.types import EmbeddingTerm, ImageTerm, ItemTerm, Query, TextTerm

SEAL = CursorSeal(b"secret")
HASH = query_hash(Query((TextTerm("dog"),)))
CURSOR = Cursor(
    version="2024-05-01 é",
    query=HASH,
    offset=40,
    last_id=2**62,
    last_similarity=float(np.float32(0.1)),
    candidates=160,
)
BASE = Query((TextTerm("dog"), ImageTerm(b"ab"), ItemTerm(3)))


def vector(*values: float) -> EmbeddingTerm:
    return EmbeddingTerm(np.array(values, dtype=np.float32))


def test_a_cursor_comes_back_as_it_was() -> None:
    text = SEAL.write(CURSOR)
    assert SEAL.read(text, version=CURSOR.version, query=HASH) == CURSOR
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


@given(position=st.integers(0, 10_000), letter=st.sampled_from("AZaz09-_=+/é \n"))
def test_an_altered_cursor_is_refused(position: int, letter: str) -> None:
    text = SEAL.write(CURSOR)
    place = position % len(text)
    altered = text[:place] + letter + text[place + 1 :]
    if altered == text:
        return
    with pytest.raises(InvalidField, match="altered") as raised:
        SEAL.read(altered, version=CURSOR.version, query=HASH)
    assert raised.value.field == "cursor"


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="altered"):
        SEAL.read(text, version=CURSOR.version, query=HASH)


@pytest.mark.parametrize("text", ["A" * 3000, SEAL.write(CURSOR) + "=", SEAL.write(CURSOR)[:-1]])
def test_cut_and_endless_cursors_are_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="altered"):
        SEAL.read(text, version=CURSOR.version, query=HASH)


def test_a_cursor_of_another_secret_is_refused() -> None:
    for other in (CursorSeal(), CursorSeal(b"other")):
        with pytest.raises(InvalidField, match="another server"):
            other.read(SEAL.write(CURSOR), version=CURSOR.version, query=HASH)


def test_a_cursor_of_another_snapshot_or_query_is_refused() -> None:
    text = SEAL.write(CURSOR)
    with pytest.raises(InvalidField, match="index has changed"):
        SEAL.read(text, version="2024-05-02", query=HASH)
    with pytest.raises(InvalidField, match="another query"):
        SEAL.read(text, version=CURSOR.version, query=query_hash(BASE))


def test_what_shows_more_or_less_of_a_result_is_not_in_its_hash() -> None:
    shown = dataclasses.replace(BASE, k=7, metadata_k=3, columns=("url",))
    assert query_hash(shown) == query_hash(BASE)


def test_whatever_changes_a_result_changes_its_hash() -> None:
    text, picture, item = BASE.terms
    queries = [
        BASE,
        dataclasses.replace(BASE, modality="text"),
        dataclasses.replace(BASE, deduplicate=True),
        dataclasses.replace(BASE, wishes=("mclip",)),
        *(
            Query(terms)
            for terms in [
                (),
                (text,),
                (text, picture),
                (text, item, picture),
                (TextTerm("dog", 2.0), picture, item),
                (TextTerm("do"), picture, item),
                (text, ImageTerm(b"a"), item),
                (text, picture, ItemTerm(4)),
                (TextTerm("3"),),
                (ItemTerm(3),),
                (ImageTerm(b"3"),),
                (TextTerm("a"), TextTerm("b")),
                (TextTerm("ab"),),
                (vector(1, 2),),
                (vector(1, 3),),
                (vector(1, 2, 0),),
                (vector(1), vector(2)),
                (EmbeddingTerm(np.array([1, 2], dtype=np.float64)),),  # type: ignore[arg-type]
            ]
        ),
    ]
    hashes = [query_hash(query) for query in queries]
    hashes += [query_hash(BASE, encoder="a"), query_hash(BASE, encoder="b"), query_hash(BASE, a="")]
    hashes += [query_hash(BASE, a=None), query_hash(BASE, a=[1]), query_hash(BASE, a={"b": 1})]
    hashes += [query_hash(BASE, a={1, 2}), query_hash(BASE, a=1), query_hash(BASE, a=True)]
    assert len(set(hashes)) == len(hashes)


def test_the_order_of_settings_does_not_matter() -> None:
    assert query_hash(BASE, a=1, b={"x": 1, "y": 2}) == query_hash(BASE, b={"y": 2, "x": 1}, a=1)
    assert query_hash(BASE, a={3, 1, 2}) == query_hash(BASE, a=frozenset([2, 3, 1]))
    assert query_hash(Query((vector(1, 2),))) == query_hash(Query((vector(1, 2),)))


def test_a_setting_of_unknown_content_is_no_silent_gap() -> None:
    with pytest.raises(TypeError, match="object"):
        query_hash(BASE, a=object())
