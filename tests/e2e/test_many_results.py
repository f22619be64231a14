"""Thousands of results on one page: only those near the window are complete."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import cards, see_results

MANY = 3000
# An item of the index, too.
FAR = 2000
# Those that two windows and a run of cards have room for, on either side.
MOST_COMPLETE = 600
BARE = re.compile(r"\bbare\b")
_IN_SIGHT = (
    "(card) => { const { top } = card.getBoundingClientRect(); return 0 < top && top < 600; }"
)
_SIZES = """(run) => {
  const sizes = () => [run, ...run.children].map((one) => [one.offsetWidth, one.offsetHeight]);
  const before = sizes();
  for (const card of run.children) {
    card.classList.add("bare");
    card.querySelector(".tile").remove();
    card.querySelector(".doing").remove();
  }
  return [before, sizes()];
}"""


@pytest.fixture
def many(open_page: OpenPage) -> Page:
    """A page that shows as many results at once, all with the pictures of the first ones."""
    page = open_page()

    def multiply(route: Route) -> None:
        answer: dict[str, Any] = route.fetch().json()
        hits = answer["hits"]
        route.fulfill(
            json={
                **answer,
                "cursor": None,
                "hits": [
                    {**hits[i % len(hits)], "id": i, "metadata": {"caption": f"picture {i}."}}
                    for i in range(MANY)
                ],
            }
        )

    page.route("**/v1/search", multiply, times=1)
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    see_results(page)
    return page


def _card(page: Page, place: int) -> Locator:
    return page.locator(f'#results [data-id="{place}"]')


def _see_complete(card: Locator) -> None:
    expect(card).to_have_class(re.compile(r"\bloaded\b"))
    expect(card).not_to_have_class(BARE)
    expect(card.locator(".similar")).to_have_count(1)
    assert card.locator("img").evaluate("(img) => img.naturalWidth") > 0


def test_all_are_there_but_only_near_ones_are_complete(many: Page) -> None:
    expect(cards(many)).to_have_count(MANY)
    _see_complete(_card(many, 0))
    far = _card(many, FAR)
    expect(far).to_have_class(BARE)
    expect(far.locator(".caption")).to_have_text(f"picture {FAR}.")
    expect(far.locator("img")).to_have_count(0)
    assert many.locator("#results .card:not(.bare)").count() < MOST_COMPLETE

    far.scroll_into_view_if_needed()
    _see_complete(far)


def test_a_bare_card_has_the_size_of_a_complete_one(many: Page) -> None:
    see_results(many)
    complete, bare = many.locator("#results > .run").first.evaluate(_SIZES)
    assert bare == complete


def test_keys_lead_on_to_bare_ones(many: Page) -> None:
    _card(many, 0).locator(".tile").focus()
    columns = len(
        str(
            many.evaluate("getComputedStyle(document.querySelector('.run')).gridTemplateColumns")
        ).split()
    )
    # Faster than frames are drawn.
    many.evaluate(
        """(times) => {
          for (let i = 0; i < times; i++) {
            const options = { key: "ArrowDown", bubbles: true };
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", options));
          }
        }""",
        100,
    )
    card = _card(many, 100 * columns)
    expect(card.locator(".tile")).to_be_focused()
    _see_complete(card)
    assert card.evaluate(_IN_SIGHT)


def test_the_browser_finds_the_words_of_bare_ones(many: Page) -> None:
    assert many.evaluate("(words) => find(words)", f"picture {FAR}.")
    card = _card(many, FAR)
    _see_complete(card)
    assert card.evaluate(_IN_SIGHT)
    assert card.evaluate("(card) => card.contains(getSelection().anchorNode)")


def test_back_to_them_shows_them_where_they_were(many: Page) -> None:
    card = _card(many, FAR)
    card.scroll_into_view_if_needed()
    _see_complete(card)
    card.locator(".similar").focus()
    before = many.evaluate("scrollY")
    many.keyboard.press("Enter")
    expect(many.locator("#terms .chip")).to_have_count(1)
    see_results(many)
    many.go_back()
    expect(cards(many)).to_have_count(MANY)
    _see_complete(card)
    assert many.evaluate("scrollY") == before
    assert card.evaluate(_IN_SIGHT)
