"""Filters, thresholds, groups, diversity, pages: the engine on fakes, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import BadFilter, InvalidField
from search_back.search import SearchEngine
from search_back.types import EmbeddingTerm, FloatArray, ImageTerm, ItemTerm, Page, Query, TextTerm
from search_back.vectors import normalise
from tests.fakes import FakeEncoder, picture_bytes
from tests.search.fakes import ArrayIndex, FakeSnapshot, Steps, TableStore

N, D = 300, 8
RNG = np.random.default_rng(1)
VECTORS: FloatArray = normalise(RNG.standard_normal((N, D)))
VECTORS[200:220] = VECTORS[10]  # twenty of one picture
SITES = [f"site {i % 7}" if i % 11 else None for i in range(N)]
TABLE = pa.table({"n": list(range(N)), "site": SITES, "wide": [i % 3 == 0 for i in range(N)]})
QUERY: FloatArray = normalise(RNG.standard_normal((1, D)))[0]


@pytest.fixture
def index() -> ArrayIndex:
    return ArrayIndex(VECTORS)


@pytest.fixture
def engine(index: ArrayIndex) -> SearchEngine:
    encoder = FakeEncoder(dimension=D)
    snapshot = FakeSnapshot({"image": index}, TableStore(TABLE), encoder.identity)
    return SearchEngine(lambda: snapshot, lambda: encoder, Steps())


def ask(engine: SearchEngine, **changes: Any) -> Page:
    return engine.search(Query((EmbeddingTerm(QUERY),), **{"k": 10, **changes}))


def ranked(passing: np.ndarray[Any, Any] | None = None) -> list[int]:
    """All ids that pass by brute force, best first, ties in the order of ids."""
    scores = VECTORS @ QUERY
    order = np.lexsort((np.arange(N), -scores))
    return [i for i in order.tolist() if passing is None or passing[i]]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("n < 3", lambda i: i < 3),
        ("n >= 100", lambda i: i >= 100),
        ("wide", lambda i: i % 3 == 0),
        ("site = 'site 3' and not wide", lambda i: SITES[i] == "site 3" and i % 3 != 0),
        ("site is null", lambda i: SITES[i] is None),
        ("n < 0", lambda i: False),
        ("n >= 0", lambda i: True),
    ],
)
@pytest.mark.parametrize("k", [1, 10, 500])
def test_a_filter_finds_what_brute_force_finds(
    text: str, passes: Any, k: int, engine: SearchEngine
) -> None:
    page = ask(engine, filter=text, k=k)
    expected = ranked(np.array([passes(i) for i in range(N)]))[:k]
    assert page.ids.tolist() == expected
    np.testing.assert_allclose(page.similarities, VECTORS[expected] @ QUERY, atol=1e-6)
    assert page.metadata["n"].to_pylist() == expected


def test_a_filter_that_means_nothing_is_refused(engine: SearchEngine) -> None:
    with pytest.raises(BadFilter, match="size"):
        ask(engine, filter="size > 3")


def test_a_threshold_is_a_limit_from_below(engine: SearchEngine) -> None:
    scores = VECTORS @ QUERY
    for least in (-1.0, 0.3, float(np.sort(scores)[-5]), 2.0):
        page = ask(engine, k=N, threshold=least)
        # Against rounding at the limit itself.
        sure = {i for i in range(N) if scores[i] > least + 1e-6}
        possible = {i for i in range(N) if scores[i] > least - 1e-6}
        assert sure <= set(page.ids.tolist()) <= possible
        assert all(np.diff(page.similarities) <= 0)


def test_groups_hold_the_best_of_each_value(engine: SearchEngine) -> None:
    page = ask(engine, k=12, group_by="site", per_group=2, fill=True)
    seen: dict[str, list[int]] = {}
    for i in ranked():
        key = SITES[i] if SITES[i] is not None else f"alone {i}"
        seen.setdefault(str(key), []).append(i)
    expected = [i for members in seen.values() for i in members[:2]]
    assert page.ids.tolist() == expected[:12]


def test_a_column_may_say_what_is_a_duplicate(engine: SearchEngine) -> None:
    page = ask(engine, k=N, deduplicate_by="site")
    sites = [SITES[i] for i in page.ids.tolist()]
    named = [site for site in sites if site is not None]
    assert len(named) == len(set(named)) == 7 and sites.count(None) == SITES.count(None)


@pytest.mark.parametrize("field", ["deduplicate_by", "group_by"])
def test_a_column_that_is_not_there_is_named(field: str, engine: SearchEngine) -> None:
    with pytest.raises(InvalidField, match="sight") as caught:
        ask(engine, **{field: "sight"})
    assert caught.value.field == field


def test_duplicates_make_room_where_the_page_is_to_be_filled(engine: SearchEngine) -> None:
    vector = VECTORS[10]
    query = Query((EmbeddingTerm(vector),), k=10, deduplicate=True)
    assert len(engine.search(query).ids) == 1, "the ten nearest are one picture"
    filled = engine.search(Query((EmbeddingTerm(vector),), k=10, deduplicate=True, fill=True))
    assert len(filled.ids) == 10 and not set(filled.ids.tolist()) & set(range(200, 220))


def test_diversity_trades_likeness_for_difference(engine: SearchEngine) -> None:
    def spread(page: Page) -> float:
        rows = VECTORS[page.ids]
        return float((rows @ rows.T).mean())

    plain = ask(engine, diversity=0.0)
    diverse = ask(engine, diversity=0.7, fill=True)
    assert plain.ids[0] == diverse.ids[0]
    assert spread(diverse) < spread(plain)


def test_facets_count_the_hits(engine: SearchEngine) -> None:
    page = ask(engine, k=50, facets=("site",))
    counts = dict(page.facets["site"].values)  # type: ignore[union-attr]
    found = [SITES[i] for i in page.ids.tolist()]
    assert counts == {site: found.count(site) for site in set(found) if site is not None}


@settings(max_examples=30, deadline=None)
@given(
    k=st.integers(1, 60),
    deduplicate=st.booleans(),
    text=st.sampled_from([None, "wide", "n < 40"]),
    group_by=st.sampled_from([None, "site"]),
    least=st.sampled_from([None, -0.2]),
)
def test_pages_join_to_the_whole_result(
    k: int, deduplicate: bool, text: str | None, group_by: str | None, least: float | None
) -> None:
    index = ArrayIndex(VECTORS)
    encoder = FakeEncoder(dimension=D)
    snapshot = FakeSnapshot({"image": index}, TableStore(TABLE), encoder.identity)
    engine = SearchEngine(lambda: snapshot, lambda: encoder, Steps())
    wanted: dict[str, Any] = {
        **{"deduplicate": deduplicate, "filter": text, "group_by": group_by, "threshold": least}
    }
    whole = ask(engine, k=N, **wanted)
    ids: list[int] = []
    page = ask(engine, k=k, fill=True, **wanted)
    while True:
        assert page.offset == len(ids)
        ids += page.ids.tolist()
        if page.next is None:
            break
        assert len(page.ids) == k
        page = ask(engine, k=k, cursor=page.next, **wanted)
    assert ids == whole.ids.tolist()


def test_a_next_page_asks_no_encoder_and_no_index(index: ArrayIndex) -> None:
    calls = []

    class Counting(FakeEncoder):
        def encode_texts(self, texts: Any) -> FloatArray:
            calls.append(texts)
            return super().encode_texts(texts)

        def encode_tokens(self, tokens: Any) -> FloatArray:
            calls.append(tokens)
            return super().encode_tokens(tokens)

    encoder = Counting(dimension=D)
    snapshot = FakeSnapshot({"image": index}, TableStore(TABLE), encoder.identity)
    engine = SearchEngine(lambda: snapshot, lambda: encoder, Steps())
    first = engine.search(Query((TextTerm("a dog"),), k=5, fill=True))
    searches, encodings = len(index.asked_by), len(calls)
    second = engine.search(Query((TextTerm("a dog"),), k=5, cursor=first.next))
    assert (len(index.asked_by), len(calls)) == (searches, encodings)
    assert second.offset == 5 and not set(first.ids.tolist()) & set(second.ids.tolist())


def test_a_cursor_of_another_query_is_refused(engine: SearchEngine) -> None:
    first = ask(engine, fill=True)
    with pytest.raises(InvalidField, match="another query"):
        ask(engine, cursor=first.next, filter="wide")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ((TextTerm("a"),), "text"),
        ((TextTerm("a"), TextTerm("b", -1)), "text"),
        ((ImageTerm(picture_bytes()),), "image"),
        ((TextTerm("a"), ImageTerm(picture_bytes())), None),
        ((ItemTerm(3),), "image"),
        ((ItemTerm(3), ImageTerm(picture_bytes())), "image"),
        ((ItemTerm(3), TextTerm("a")), None),
        ((EmbeddingTerm(QUERY),), None),
    ],
)
def test_the_index_is_told_what_asks(
    terms: Any, expected: str | None, engine: SearchEngine, index: ArrayIndex
) -> None:
    engine.search(Query(terms, k=3))
    assert index.asked_by == [expected]
