"""Search quality over all bundled pictures, through the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search_back.config import IndexOptions, ServerSettings
from search_back.services import IndexService, Services
from search_back.types import Query, TextTerm
from tests.conftest import Chain
from tests.quality.queries import CATEGORIES, LANGUAGES, NAMES, QUERIES, SCENES, Asked

TOP = 5
SHARE = 0.85


@pytest.fixture(scope="module")
def index(full_chain: Chain) -> Iterator[IndexService]:
    columns = ("name", "subgroup")
    options = IndexOptions(full_chain.index, columns_to_return=columns)
    services = Services(ServerSettings(indices={"all": options}))
    yield services.index("all")
    services.close()


def test_the_queries_are_many_and_each_has_an_answer(full_chain: Chain) -> None:
    assert len({asked.text for asked in QUERIES}) == len(QUERIES) >= 64
    for asked in QUERIES:
        assert any(asked.accepts(row) for row in full_chain.rows), asked


def test_what_is_asked_for_is_among_the_first_five(index: IndexService) -> None:
    missed = {asked: names for asked in QUERIES if (names := miss(asked, index))}
    for title, queries in (
        ("names", NAMES),
        ("categories", CATEGORIES),
        ("two things", SCENES),
        ("other languages", LANGUAGES),
    ):
        found = sum(asked not in missed for asked in queries)
        print(f"{title}: {found} of {len(queries)}")
    for asked, names in missed.items():
        print(f"missed {asked.text!r}: found {', '.join(names)}")
    share = 1 - len(missed) / len(QUERIES)
    assert share >= SHARE, f"{share:.1%} of {len(QUERIES)} queries; {SHARE:.0%} are wanted"


def miss(asked: Asked, index: IndexService) -> list[str]:
    """The names found instead; empty where an answer is among the first."""
    page = index.search(Query((TextTerm(asked.text),), k=TOP, columns=("name", "subgroup")))
    rows = [hit.metadata for hit in page.hits() if hit.metadata is not None]
    assert len(rows) == TOP
    return [] if any(asked.accepts(row) for row in rows) else [str(row["name"]) for row in rows]
