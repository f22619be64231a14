"""The map: results and the whole index laid out by what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import (
    Watch,
    cards,
    ids,
    is_call_to,
    params,
    see_results,
    see_start,
    sent,
)

RESULTS = "?query=animal&filter=id+%3C+200"
FEW_RESULTS = "?query=animal&filter=id+%3C+40"  # so that some lie alone
MOST_RESULTS = 1000
SAMPLE = 1500
MAP_MS = 60_000  # t-SNE may take all of the time that a request has


def see_map(page: Page) -> Locator:
    """Wait for a map with at least one name on it; its canvas."""
    expect(page.locator("#map .map-names button").first).to_be_visible(timeout=MAP_MS)
    expect(cards(page).first).to_be_hidden()
    return page.locator("#map canvas")


def open_map(page: Page) -> Any:
    """Turn to the map of the results that are there; what the server answered."""
    with page.expect_response(lambda r: is_call_to("/v1/map", r), timeout=MAP_MS) as asked:
        page.locator("#map-toggle").click()
    see_map(page)
    return asked.value.json()


def place(page: Page, plan: Any, point: int) -> tuple[float, float]:
    """Where a point is on the screen, as long as all of the map is seen."""
    box = page.locator("#map canvas").bounding_box()
    assert box is not None
    left, right, top, bottom = min(plan["x"]), max(plan["x"]), min(plan["y"]), max(plan["y"])
    margin = 0.14 * min(box["width"], box["height"])
    scale = min((box["width"] - margin) / (right - left), (box["height"] - margin) / (bottom - top))
    return (
        box["x"] + box["width"] / 2 + (plan["x"][point] - (left + right) / 2) * scale,
        box["y"] + box["height"] / 2 + (plan["y"][point] - (top + bottom) / 2) * scale,
    )


def alone(page: Page, plan: Any) -> Iterator[tuple[int, tuple[float, float]]]:
    """Points with no other near them and no name over them, and where they are."""
    places = [place(page, plan, point) for point in range(len(plan["ids"]))]
    for point, (x, y) in enumerate(places[:-1]):
        near = [other for other in places if max(abs(other[0] - x), abs(other[1] - y)) < 40]
        over = page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.localName", [x, y])
        if len(near) == 1 and over == "canvas":
            yield point, (x, y)


def captions(page: Page, of: list[int]) -> list[str]:
    rows = page.request.post("metadata", data={"ids": of, "images": "none"}).json()
    return [row["metadata"]["caption"] for row in rows]


def dialog_caption(page: Page) -> Locator:
    return page.locator("dialog .lightbox-caption")


def zoom(canvas: Locator) -> float:
    return float(str(canvas.get_attribute("data-zoom")))


def test_grid_and_map_show_the_same_results(open_page: OpenPage) -> None:
    page = open_page(RESULTS)
    first = ids(see_results(page).page)
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as searched:
        plan = open_map(page)
    assert sent(searched.value.request)["k"] == MOST_RESULTS
    canvas = page.locator("#map canvas")
    assert [str(id_) for id_ in plan["ids"][: len(first)]] == first
    assert len(first) < len(plan["ids"]) <= 200
    expect(page.locator("#map .map-told")).to_have_text(f"{len(plan['ids'])} pictures")
    expect(canvas).to_have_accessible_name("Map of the results")
    expect(canvas).to_have_accessible_description(re.compile("Arrow keys move the map"))
    expect(page.locator("#map-toggle")).to_have_attribute("aria-pressed", "true")
    question = {"query": "animal", "filter": "id < 200"}
    assert params(page) == {**question, "view": "map"}

    page.go_back()
    expect(page.locator("#map")).to_be_hidden()
    see_results(page)
    page.go_forward()
    see_map(page)
    page.keyboard.press("v")
    see_results(page)
    assert params(page) == question


def test_a_cluster_is_called_by_what_its_captions_say(open_page: OpenPage) -> None:
    page = open_page(RESULTS)
    see_results(page)
    plan = open_map(page)
    said = captions(page, plan["ids"])
    names = [cluster["words"] for cluster in plan["clusters"]]
    assert all(names)
    for number, words in enumerate(names):
        mine = [c for c, of in zip(said, plan["cluster"], strict=True) if of == number]
        others = [c for c, of in zip(said, plan["cluster"], strict=True) if of != number]

        def share(texts: list[str], word: str) -> float:
            return sum(word in text.lower() for text in texts) / len(texts)

        assert share(mine, words[0]) > share(others, words[0])
    shown = page.locator("#map .map-names button:visible").all_text_contents()
    assert set(shown) <= {" · ".join(words[:2]) for words in names}

    page.locator("#map .map-names button:visible").first.click()
    canvas = page.locator("#map canvas")
    expect(canvas).to_be_focused()
    expect(canvas).not_to_have_attribute("data-zoom", "1.00")


def test_a_click_opens_what_is_there(open_page: OpenPage) -> None:
    page = open_page(FEW_RESULTS)
    see_results(page)
    plan = open_map(page)
    point, (x, y) = next(alone(page, plan))
    caption, following = captions(page, plan["ids"][point : point + 2])
    page.mouse.move(x, y)
    expect(page.locator("#map .map-tip")).to_have_text(caption)
    page.mouse.click(x, y)
    expect(dialog_caption(page)).to_have_text(caption)
    expect(page.locator("dialog .facts dd").first).to_have_text(str(plan["ids"][point]))

    page.keyboard.press("ArrowRight")
    expect(dialog_caption(page)).to_have_text(following)
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("#map canvas")).to_be_focused()
    expect(page.locator("#map [aria-live]")).to_contain_text(following)


def test_keys_move_the_map_and_walk_on_it(open_page: OpenPage) -> None:
    page = open_page(f"{RESULTS}&view=map")
    canvas = see_map(page)
    canvas.focus()
    expect(canvas).to_have_attribute("data-zoom", "1.00")
    page.keyboard.press("+")
    expect(canvas).to_have_attribute("data-zoom", "1.60")
    page.keyboard.press("-")
    page.keyboard.press("-")
    expect(canvas).to_have_attribute("data-zoom", "0.75")
    page.keyboard.press("0")
    expect(canvas).to_have_attribute("data-zoom", "1.00")

    name = page.locator("#map .map-names button:visible").first
    before = name.bounding_box()
    assert before is not None
    page.keyboard.press("ArrowDown")
    expect(name).not_to_have_js_property("parentElement.style.transform", "")
    page.wait_for_function(
        "([button, y]) => Math.abs(button.getBoundingClientRect().y - y) > 70",
        arg=[name.element_handle(), before["y"]],
    )
    page.keyboard.press("0")

    told = page.locator("#map [aria-live]")
    expect(told).to_have_text("")
    page.keyboard.press("Shift+ArrowRight")
    expect(told).to_have_text(re.compile(r"^\S.*, among \w+"))
    first = str(told.text_content())
    page.keyboard.press("Shift+ArrowRight")
    expect(told).not_to_have_text(first)
    expect(told).to_have_text(re.compile(r"^\S.*, among \w+"))
    caption = str(told.text_content()).partition(", among ")[0]
    page.keyboard.press("Enter")
    expect(dialog_caption(page)).to_have_text(caption)
    page.keyboard.press("Escape")
    expect(canvas).to_be_focused()


def test_the_wheel_and_a_drag(open_page: OpenPage) -> None:
    page = open_page(f"{RESULTS}&view=map")
    canvas = see_map(page)
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -500)
    expect(canvas).not_to_have_attribute("data-zoom", "1.00")
    near = zoom(canvas)
    assert near == pytest.approx(2.2255, abs=0.01)  # e to the power of 500 · 0.0016
    page.mouse.down()
    page.mouse.move(x + 120, y + 40, steps=4)
    page.mouse.up()
    assert zoom(canvas) == near
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.get_by_role("button", name="All of it").click()
    expect(canvas).to_have_attribute("data-zoom", "1.00")


def test_a_map_of_the_whole_index(open_page: OpenPage) -> None:
    page = open_page()
    see_start(page)
    with page.expect_request("**/v1/map") as asked:
        page.get_by_role("link", name="Map of the whole index").click()
    assert sent(asked.value)["sample"] == SAMPLE
    canvas = see_map(page)
    expect(canvas).to_have_accessible_name("Map of the whole index")
    expect(page.locator("#map .map-told")).to_have_text(
        re.compile(r"^1,500 pictures of [\d,]+, taken evenly$")
    )
    assert params(page) == {"view": "all"}
    canvas.focus()
    page.keyboard.press("Enter")
    told = page.locator("#map [aria-live]")
    expect(told).to_have_text(re.compile(r"^[^P]\S*.*, among \w+"))
    caption = str(told.text_content()).partition(", among ")[0]
    page.keyboard.press("Enter")
    expect(dialog_caption(page)).to_have_text(caption)
    page.keyboard.press("Escape")

    page.go_back()
    see_start(page)
    page.go_forward()
    see_map(page)


def test_a_search_from_the_map_stays_on_it(open_page: OpenPage) -> None:
    page = open_page(f"{RESULTS}&view=all")
    see_map(page)
    with page.expect_response(lambda r: is_call_to("/v1/map", r), timeout=MAP_MS):
        page.locator("#query").fill("guitar")
        page.locator("#query").press("Enter")
    expect(page.locator("#map canvas")).to_have_accessible_name("Map of the results")
    assert params(page) == {"query": "guitar", "filter": "id < 200", "view": "map"}
    page.get_by_role("link", name="Map of the whole index").click()
    expect(page.locator("#map canvas")).to_have_accessible_name("Map of the whole index")
    page.go_back()
    expect(page.locator("#map canvas")).to_have_accessible_name("Map of the results")


def test_trouble_with_the_map_is_told_beside_it(open_page: OpenPage, watches: list[Watch]) -> None:
    page = open_page(RESULTS)
    watches[-1].forgive("503")
    see_results(page)
    page.route("**/v1/map", lambda r: r.fulfill(status=503, json={"message": "a short break"}))
    page.locator("#map-toggle").click()
    expect(page.locator("#map")).to_contain_text("a short break")
    page.unroute("**/v1/map")
    page.locator('#map [data-action="retry"]').click()
    see_map(page)


def test_nothing_found_is_no_map(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&filter=id+%3C+0&view=map")
    expect(page.locator("#notice")).to_contain_text("Nothing found")
    expect(page.locator("#map canvas")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_that_of_the_page(open_page: OpenPage, scheme: Any) -> None:
    page = open_page(f"{RESULTS}&view=map", color_scheme=scheme)
    see_map(page)
    dot = page.locator("#map .map-names i").first
    before = dot.evaluate("(dot) => getComputedStyle(dot).backgroundColor")
    page.locator("#theme").click()
    expect(dot).not_to_have_css("background-color", before)
