"""Thousands of results on one page: only those near the window are complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import cards, see_results, see_start

MANY = 3000
# An item of the index, too.
FAR = 2000
# Those that two windows and a run of cards have room for, on either side.
MOST_COMPLETE = 600
# Two pieces: one as the window comes near a run, another before the next frame.
MOST_A_FRAME = 24
BARE = re.compile(r"\bbare\b")
DESKTOP = {"viewport": {"width": 960, "height": 600}}
PHONE = {"viewport": {"width": 390, "height": 600}}
Open = Callable[..., Page]
Look = Mapping[str, str]
_USUAL: Look = MappingProxyType({})
_IN_SIGHT = (
    "(card) => { const { top } = card.getBoundingClientRect(); return 0 < top && top < 600; }"
)
_TOP = """() => {
  const isSeen = (one) => one.getBoundingClientRect().bottom > 0;
  const run = [...document.querySelectorAll("#results > .run")].find(isSeen);
  const card = [...run.querySelectorAll(".card")].find(isSeen);
  return [card.dataset.id, card.getBoundingClientRect().top];
}"""
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
# Of each run: whether it is drawn, how high it is now, and how high what it holds makes it.
_HEIGHTS = """(hidden) => {
  const grid = document.querySelector("#results");
  for (const what of ["captions", "scores"])
    grid.classList.toggle(`no-${what}`, hidden.includes(what));
  const runs = [...grid.querySelectorAll(".run")];
  const height = (run) => run.getBoundingClientRect().height;
  const isDrawn = (run) =>
    run.firstElementChild.checkVisibility({ contentVisibilityAuto: true });
  const before = runs.map((run) => [isDrawn(run), height(run)]);
  const free = { contain: "none", contentVisibility: "visible", height: "auto" };
  for (const { style } of runs) Object.assign(style, free);
  const found = runs.map((run, i) => [...before[i], height(run)]);
  for (const { style } of runs) for (const name in free) style[name] = "";
  return found;
}"""
# How many cards have been completed in each of so many frames.
_COMPLETED = """async (frames) => {
  const countBare = () => document.querySelectorAll("#results .bare").length;
  const found = [];
  for (let i = 0, before = countBare(); i < frames; i++) {
    scrollBy(0, 40);
    await new Promise(requestAnimationFrame);
    const now = countBare();
    found.push(before - now);
    before = now;
  }
  return found;
}"""
_IS_LOADED_UNDRAWN = """() => [...document.querySelectorAll("#results .loaded")]
  .some((card) => !card.checkVisibility({ contentVisibilityAuto: true }))"""
# Of each picture that comes up, whether it is in sight.
_WATCH_FADES = """() => {
  window.fades = [];
  const animate = Element.prototype.animate;
  Element.prototype.animate = function (...how) {
    const { top, bottom } = this.getBoundingClientRect();
    fades.push(bottom > 0 && top < innerHeight);
    return animate.apply(this, how);
  };
}"""
_ARE_DRAWN_ONES_LOADED = """() => [...document.querySelectorAll("#results .card:not(.loaded)")]
  .every((card) => !card.checkVisibility({ contentVisibilityAuto: true }))"""
_SCROLL = "(share) => scrollTo(0, share * (document.documentElement.scrollHeight - innerHeight))"
_STANDS = """([id, top]) => Math.abs(document.querySelector(`#results [data-id="${id}"]`)
  .getBoundingClientRect().top - top) < 1"""
_IS_FITTED = """() => {
  const columns = getComputedStyle(document.querySelector(".run")).gridTemplateColumns.split(" ");
  return document.querySelector("#results").style.getPropertyValue("--columns") == columns.length;
}"""


@pytest.fixture
def open_many(open_page: OpenPage) -> Open:
    """Opens a page that shows as many results at once, all with the pictures of the first ones.

    Their captions have no, one or many lines. ``look``: what a visitor has chosen before.
    """

    def multiply(route: Route) -> None:
        answer: dict[str, Any] = route.fetch().json()
        hits = answer["hits"]
        many = [{**hits[i % len(hits)], "id": i, "metadata": _metadata(i)} for i in range(MANY)]
        route.fulfill(json={**answer, "cursor": None, "hits": many})

    def open_many(path: str = "?query=guitar", look: Look = _USUAL, **options: Any) -> Page:
        page = open_page(**options)
        page.evaluate("(look) => Object.assign(localStorage, look)", {"density ": "small", **look})
        page.route("**/v1/search", multiply, times=1)
        page.goto(page.url.split("?")[0] + path)
        see_results(page)
        return page

    return open_many


@pytest.fixture
def many(open_many: Open) -> Page:
    return open_many()


def _metadata(i: int) -> dict[str, str]:
    group = f"group {i // 500}" + ", of a name that takes more room than there is" * (i // 1000)
    caption = f"picture {i}." + " It shows a lot." * (i // 60 % 3 * 4)
    return {"group": group, **({} if i % 7 == 3 else {"caption": caption})}


def _card(page: Page, place: int | str) -> Locator:
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
    expect(far.locator(".caption")).to_contain_text(f"picture {FAR}.")
    expect(far.locator("img")).to_have_count(0)
    assert many.locator("#results .card:not(.bare)").count() < MOST_COMPLETE

    far.scroll_into_view_if_needed()
    _see_complete(far)


def test_pictures_are_there_before_they_are_drawn(open_many: Open) -> None:
    # High enough for a run between what is drawn and what is near.
    open_many(viewport={"width": 960, "height": 2400}).wait_for_function(_IS_LOADED_UNDRAWN)


def test_only_pictures_in_sight_fade_in(open_many: Open) -> None:
    page = open_many(reduced_motion="no-preference")
    page.evaluate(_WATCH_FADES)
    card = _card(page, FAR)
    card.scroll_into_view_if_needed()
    _see_complete(card)
    page.wait_for_function(_ARE_DRAWN_ONES_LOADED)
    fades = page.evaluate("fades")
    assert fades
    assert all(fades)


def test_few_cards_are_completed_in_one_frame(many: Page) -> None:
    found = many.evaluate(_COMPLETED, 100)
    assert 0 < max(found) <= MOST_A_FRAME


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


@pytest.mark.parametrize("path", ["?query=guitar", "?query=guitar&group=group"])
@pytest.mark.parametrize("density", ["normal", "small"])
@pytest.mark.parametrize("window", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_was_not_drawn_is_as_high_as_what_was(
    open_many: Open, window: dict[str, Any], density: str, path: str
) -> None:
    page = open_many(path, {"density ": density}, **window)
    expect(page.locator("#results")).to_have_attribute("data-density", density)
    page.wait_for_function(_IS_FITTED)
    for hidden in [[], ["scores"], ["captions"], ["captions", "scores"]]:
        found = page.evaluate(_HEIGHTS, hidden)
        assert {is_drawn for is_drawn, _, _ in found} == {True, False}
        # Layout rounds each row to a 64th of a pixel.
        assert [now for _, now, _ in found] == pytest.approx([drawn for *_, drawn in found], abs=1)


def test_cards_passed_by_in_haste_are_completed_later(many: Page) -> None:
    many.evaluate(
        """async (far) => {
          const card = document.querySelector(`#results [data-id="${far}"]`);
          for (let i = 0; i < 6; i++) {
            if (i % 2) card.scrollIntoView();
            else scrollTo(0, 0);
            await new Promise(requestAnimationFrame);
          }
        }""",
        FAR,
    )
    _see_complete(_card(many, FAR))


@pytest.mark.parametrize("look", [{}, {"whole-captions": "shown"}], ids=["two lines", "whole"])
@pytest.mark.parametrize("path", ["?query=guitar", "?query=guitar&group=group"])
def test_the_way_back_leads_to_the_card_at_the_top(
    open_many: Open, path: str, look: dict[str, str]
) -> None:
    page = open_many(path, look)
    for share in (0.7, 0.2, 0.97):
        page.evaluate(_SCROLL, share)
        id_, top = page.evaluate(_TOP)
        _see_complete(_card(page, id_))
        id_, top = page.evaluate(_TOP)
        _leave(page)
        _come_back(page)
        _see_at_the_top(page, id_, top)
        _see_complete(_card(page, id_))
        _see_at_the_top(page, id_, top)


def test_the_way_back_leads_to_where_one_has_just_scrolled(many: Page) -> None:
    # The browser has told of nothing yet when the page is left.
    id_, top = many.evaluate(
        f"() => {{ ({_SCROLL})(0.6); const top = ({_TOP})();"
        " document.querySelector('#home').click(); return top; }"
    )
    see_start(many)
    _come_back(many)
    _see_at_the_top(many, id_, top)
    _see_complete(_card(many, id_))
    _see_at_the_top(many, id_, top)


def test_the_way_back_holds_in_another_window(many: Page) -> None:
    many.evaluate(_SCROLL, 0.5)
    where = many.evaluate(_TOP)
    _leave(many)
    many.set_viewport_size({"width": 700, "height": 600})
    _come_back(many)
    assert many.evaluate(_STANDS, where)
    many.set_viewport_size({"width": 390, "height": 600})
    many.wait_for_function(_IS_FITTED)
    many.wait_for_function(_STANDS, arg=where)


def test_whoever_scrolls_after_the_way_back_is_let_go(many: Page) -> None:
    many.evaluate(_SCROLL, 0.5)
    _leave(many)
    _come_back(many)
    many.evaluate(_SCROLL, 0)
    _see_complete(_card(many, 0))
    many.set_viewport_size({"width": 700, "height": 600})
    many.wait_for_function(_IS_FITTED)
    assert many.evaluate("scrollY") == 0


def _leave(page: Page) -> None:
    """For the results that are like one of these."""
    page.evaluate("document.querySelector('#results .similar').click()")
    expect(page.locator("#terms .chip")).to_have_count(1)
    see_results(page)


def _come_back(page: Page) -> None:
    page.go_back()
    expect(cards(page)).to_have_count(MANY)


def _see_at_the_top(page: Page, id_: str, top: float) -> None:
    """The same card, within the pixel that a window's place is rounded to."""
    assert page.evaluate(_TOP) == [id_, pytest.approx(top, abs=1)]
