"""The grid: what a card shows, and how it grows."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import (
    PAGE_OF_RESULTS,
    Watch,
    cards,
    ids,
    is_call_to,
    search_words,
    see_results,
)

PHONE = {"viewport": {"width": 390, "height": 600}}
SCENE = "cat and pizza on a green background"
WIDE_SEARCH = "?query=guitar&deduplicate=false"
_COLUMNS = """() =>
  getComputedStyle(document.querySelector(".run")).gridTemplateColumns.split(" ").length"""
_BACKGROUND_SIZE = """async (tile) => {
  const image = new Image();
  image.src = getComputedStyle(tile).backgroundImage.slice(5, -2);
  await image.decode();
  return [image.naturalWidth, image.naturalHeight];
}"""
_ROWS_ARE_WHOLE = """(columns) => {
  const runs = [...document.querySelectorAll("#results > .run")];
  return runs.length > 1 && runs.slice(0, -1).every((run) => run.children.length % columns === 0);
}"""


def test_a_card_shows_picture_caption_and_score(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&modality=text")
    card = see_results(page).first
    expect(card.locator(".caption")).to_have_text("guitar")
    expect(card.locator(".score")).to_have_text(re.compile(r"^-?\d\.\d{3}$"))
    expect(card.get_by_role("link", name="Similar to guitar")).to_have_count(1)
    expect(card.get_by_role("button", name="Less like guitar")).to_have_count(1)

    picture = card.get_by_role("img", name="guitar")
    id_ = card.get_attribute("data-id")
    source = f"/indices/emoji/thumbnails/{id_}?size=256"
    expect(picture).to_have_attribute("src", re.compile(re.escape(source) + "$"))
    assert picture.evaluate("(img) => [img.naturalWidth, img.naturalHeight]") == [136, 128]

    whole = str(card.locator(".tile").get_attribute("href"))
    assert whole.endswith(f"/indices/emoji/pictures/{id_}")
    response = page.request.get(whole)
    assert response.ok
    assert response.headers["content-type"] == "image/jpeg"


def test_a_placeholder_is_seen_until_the_picture_comes(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&modality=text")
    card = see_results(page).first
    page.route("**/thumbnails/*", lambda _never_answered: None)
    page.reload()
    tile = card.locator(".tile")
    expect(tile).to_have_css("background-image", re.compile(r'^url\("data:image/bmp;base64,'))
    assert tile.evaluate(_BACKGROUND_SIZE) == [4, 4]
    expect(card).not_to_have_class(re.compile(r"\bloaded\b"))

    page.unroute("**/thumbnails/*")
    page.reload()
    see_results(page)
    # It would be seen beside a picture that does not cover its tile.
    expect(card).to_have_class(re.compile(r"\bsmall\b"))
    expect(tile).to_have_css("background-image", "none")


def test_scores_fall(open_page: OpenPage) -> None:
    page = open_page(WIDE_SEARCH)
    see_results(page)
    scores = [float(text) for text in page.locator("#results .score").all_text_contents()]
    assert len(scores) >= PAGE_OF_RESULTS
    assert scores == sorted(scores, reverse=True)


def test_captions_and_scores_can_be_hidden_for_good(open_page: OpenPage) -> None:
    page = open_page(WIDE_SEARCH)
    card = see_results(page).first
    page.locator("#options summary").click()
    page.locator("#show-captions").uncheck()
    expect(card.locator(".caption")).to_be_hidden()
    page.locator("#show-whole-captions").check()
    expect(card.locator(".caption")).to_be_hidden()
    expect(card.locator(".score")).to_be_visible()
    page.locator("#show-scores").uncheck()
    expect(card.locator(".score")).to_be_hidden()

    page.reload()
    card = see_results(page).first
    expect(card.locator(".caption")).to_be_hidden()
    page.locator("#options summary").click()
    page.locator("#show-captions").check()
    expect(card.locator(".caption")).to_be_visible()


def test_the_end_of_the_grid_asks_for_more(open_page: OpenPage) -> None:
    page = open_page(WIDE_SEARCH, **PHONE)
    see_results(page)
    expect(cards(page)).to_have_count(PAGE_OF_RESULTS)

    for pages in (2, 3):
        with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
            page.mouse.wheel(0, 20_000)
        assert len(asked.value.json()["hits"]) == PAGE_OF_RESULTS
        expect(cards(page)).to_have_count(pages * PAGE_OF_RESULTS)

    assert len(set(ids(page))) == 3 * PAGE_OF_RESULTS
    last = cards(page).nth(3 * PAGE_OF_RESULTS - 1)
    last.scroll_into_view_if_needed()
    expect(last).to_have_class(re.compile(r"\bloaded\b"))
    expect(last.locator(".caption")).not_to_be_empty()
    expect(last.locator(".score")).to_have_text(re.compile(r"^-?\d\.\d{3}$"))
    assert last.locator("img").evaluate("(img) => img.naturalWidth") > 0


def test_a_page_that_fails_can_be_asked_for_again(
    open_page: OpenPage, watches: list[Watch]
) -> None:
    page = open_page(WIDE_SEARCH, **PHONE)
    watches[-1].forgive("503")
    see_results(page)
    page.route(
        "**/v1/search", lambda route: route.fulfill(status=503, json={"message": "a short break"})
    )
    page.mouse.wheel(0, 20_000)
    expect(page.locator("#more")).to_contain_text("a short break")
    expect(cards(page)).to_have_count(PAGE_OF_RESULTS)

    page.unroute("**/v1/search")
    page.locator('#more [data-action="retry"]').click()
    expect(cards(page)).to_have_count(2 * PAGE_OF_RESULTS)
    expect(page.locator("#more")).to_be_empty()


def test_a_picture_that_is_gone_leaves_the_grid(open_page: OpenPage, watches: list[Watch]) -> None:
    page = open_page()
    watches[-1].forgive("404")
    gone: list[str] = []

    def lose(route: Route) -> None:
        gone.append(route.request.url)
        route.fulfill(status=404)

    page.route("**/thumbnails/*", lose, times=1)
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    expect(page.locator("#status")).to_contain_text("1 picture missing")
    id_ = gone[0].split("/thumbnails/")[1].split("?")[0]
    assert id_ not in ids(page)


def test_rows_are_whole_however_wide_the_window_is(open_page: OpenPage) -> None:
    page = open_page(WIDE_SEARCH)
    see_results(page)
    for pages in (2, 3):
        page.mouse.wheel(0, 20_000)
        expect(cards(page)).to_have_count(pages * PAGE_OF_RESULTS)
    before = ids(page)
    tile = cards(page).nth(PAGE_OF_RESULTS).locator(".tile")
    tile.focus()
    for width in (960, 700, 390, 1200):
        page.set_viewport_size({"width": width, "height": 600})
        columns = int(page.evaluate(_COLUMNS))
        page.wait_for_function(_ROWS_ARE_WHOLE, arg=columns)
        assert ids(page) == before
        expect(tile).to_be_focused()


def test_behind_a_picture_that_is_gone_rows_are_filled_up(
    open_page: OpenPage, watches: list[Watch]
) -> None:
    page = open_page(WIDE_SEARCH, **PHONE)
    watches[-1].forgive("404")
    see_results(page)
    page.mouse.wheel(0, 20_000)
    expect(cards(page)).to_have_count(2 * PAGE_OF_RESULTS)
    left = ids(page)
    # As a browser tells of one that it cannot show.
    page.locator(f'[data-id="{left.pop(1)}"] img').dispatch_event("error")
    expect(page.locator("#status")).to_contain_text("1 picture missing")
    assert ids(page) == left
    page.wait_for_function(_ROWS_ARE_WHOLE, arg=int(page.evaluate(_COLUMNS)))


def test_small_pictures_lie_on_white_and_large_ones_cover_their_tile(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&modality=text", color_scheme="dark")
    small = see_results(page).first
    expect(small).to_have_class(re.compile(r"\bsmall\b"))
    expect(small.locator(".tile")).to_have_css("background-color", "rgb(255, 255, 255)")

    search_words(page, SCENE)
    large = cards(page).first
    expect(large.locator(".caption")).to_have_text(SCENE)
    expect(large).to_have_class(re.compile(r"\bloaded\b"))
    expect(large).not_to_have_class(re.compile(r"\bsmall\b"))
    expect(large.locator("img")).to_have_css("object-fit", "cover")
    expect(large.locator("img")).to_have_css("padding", "0px")


def test_what_is_learnt_of_the_pictures_is_for_the_next_search(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&filter=kind+%3D+%27emoji%27")
    grid = page.locator("#results")
    see_results(page)
    page.wait_for_function("localStorage.getItem('density ') === 'small'")
    # Nothing that is seen moves.
    expect(grid).to_have_attribute("data-density", "normal")
    search_words(page, "cat")
    expect(grid).to_have_attribute("data-density", "small")
