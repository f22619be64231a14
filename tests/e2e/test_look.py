"""The page to eyes, hands and machines: themes, narrow windows, keys, accessibility, policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, cards, overflow, params, see_results, see_start

DARK_PAGE = "rgb(20, 21, 23)"
LIGHT_PAGE = "rgb(251, 250, 248)"
_TRANSFERRED = """() => ["navigation", "resource"].flatMap((kind) =>
  performance.getEntriesByType(kind).map(({ name, transferSize }) => [name, transferSize]))"""
_ICONS_THAT_ARE_NOT_THERE = """() => [...document.querySelectorAll("use")]
  .map((use) => use.getAttribute("href")).filter((name) => !document.querySelector(name))"""
MAP = "?query=cat&filter=id+%3C+200&view=map"
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


def test_the_theme_follows_the_system_until_one_is_chosen(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    body = page.locator("body")
    expect(body).to_have_css("background-color", DARK_PAGE)
    page.emulate_media(color_scheme="light")
    expect(body).to_have_css("background-color", LIGHT_PAGE)

    page.get_by_role("button", name="Use the dark theme").click()
    expect(body).to_have_css("background-color", DARK_PAGE)
    page.reload()
    expect(body).to_have_css("background-color", DARK_PAGE)
    expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()


@pytest.mark.parametrize(
    "path", ["", "?query=guitar&deduplicate=false", "?id=764", "?id=999999", MAP]
)
def test_a_phone_scrolls_one_way_only(open_page: OpenPage, watches: list[Watch], path: str) -> None:
    page = open_page(path, **PHONE)
    watches[-1].forgive("404")
    _see_something(page, path)
    assert overflow(page) == 0
    page.locator("#options summary").click()
    panel = page.locator("#options .panel").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= 360
    assert overflow(page) == 0


def test_signs_are_drawn_where_they_are_seen(open_page: OpenPage) -> None:
    found = see_results(open_page("?query=guitar"))
    first, second = found.nth(0), found.nth(1)
    first.hover()
    for name in ("similar", "more", "less"):
        expect(first.locator(f".{name} .sign")).to_have_css("mask-image", re.compile("^url"))
        expect(second.locator(f".{name} .sign")).to_have_css("mask-image", "none")
    second.locator(".tile").focus()
    expect(second.locator(".more .sign")).to_have_css("mask-image", re.compile("^url"))


def test_keys(open_page: OpenPage) -> None:
    page = open_page("?query=guitar")
    see_results(page)
    box = page.locator("#query")
    expect(box).not_to_be_focused()

    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type("a/b")
    expect(box).to_have_value("a/b")

    page.keyboard.press("Escape")
    expect(box).to_have_value("")
    see_results(page)
    page.keyboard.press("Escape")
    see_start(page)
    assert params(page) == {}

    page.locator("#options summary").click()
    expect(page.locator("#modality")).to_be_visible()
    page.locator("#modality").press("Escape")
    expect(page.locator("#modality")).to_be_hidden()
    expect(page.locator("#options summary")).to_be_focused()


def test_a_search_by_keys_alone(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.type("guitar")
    page.keyboard.press("Enter")
    first = see_results(page).first
    id_ = first.get_attribute("data-id")
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(first.locator(".tile")).to_be_focused()
    page.keyboard.press("Tab")
    expect(first.locator('[data-action="similar"]')).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#terms .chip")).to_have_count(1)
    expect(see_results(page).first).to_have_attribute("data-id", str(id_))


@pytest.mark.parametrize("path", ["", "?query=guitar&modality=text", "?id=764", "?id=999999"])
def test_accessibility(open_page: OpenPage, watches: list[Watch], path: str) -> None:
    page = open_page(path, color_scheme="light")
    watches[-1].forgive("404")
    _see_something(page, path)
    page.locator("#options summary").click()
    _check_accessibility(page)


def _open_filters(page: Page) -> None:
    page.locator("#filters-toggle").click()
    expect(page.locator("#filters .facet").first).to_be_visible()


def _open_sketch(page: Page) -> None:
    page.locator("#sketch").click()
    expect(page.locator("dialog canvas")).to_be_visible()


def _open_result(page: Page) -> None:
    cards(page).first.locator(".tile").click()
    expect(page.locator("dialog .facts dt").nth(5)).to_be_visible()


def _open_term(page: Page) -> None:
    page.locator(".chip-face").last.click()
    expect(page.locator("#term")).to_be_visible()


def _open_region(page: Page) -> None:
    _open_term(page)
    page.get_by_role("button", name="Search a part of it").click()
    expect(page.locator("dialog .frame")).to_be_visible()


def _open_help(page: Page) -> None:
    page.locator("#help").click()
    expect(page.locator("dialog kbd").first).to_be_visible()


def _open_map(page: Page) -> None:
    page.locator("#map-toggle").click()
    expect(page.locator("#map .map-names button").first).to_be_visible(timeout=60_000)


OPENED = [
    _open_map,
    _open_filters,
    _open_sketch,
    _open_result,
    _open_term,
    _open_region,
    _open_help,
]


@pytest.mark.parametrize("show", OPENED, ids=lambda show: show.__name__)
def test_accessibility_of_what_opens(open_page: OpenPage, show: Callable[[Page], None]) -> None:
    path = "?q=2%3Aanimal+-+dog+%2B+%23720&group=group&filter=kind+%3D+%27emoji%27"
    page = open_page(path, color_scheme="light")
    see_results(page)
    show(page)
    _check_accessibility(page)


def _check_accessibility(page: Page) -> None:
    """Nothing that bars anybody, in either theme; and no button without its picture."""
    assert page.evaluate(_ICONS_THAT_ARE_NOT_THERE) == []
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # A few cards stand for all of them.
    where = {"exclude": [[".run + .run, .card:nth-child(n + 9)"]]}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        violations: list[dict[str, Any]] = axe.run(page, where).response["violations"]
        bad = {
            violation["id"]: [node["html"] for node in violation["nodes"]]
            for violation in violations
            if violation["impact"] in ("moderate", "serious", "critical")
        }
        assert not bad, f"in the {scheme} theme"


def test_the_first_paint_is_light(open_page: OpenPage) -> None:
    page = open_page()
    see_start(page)
    sizes = dict(page.evaluate(_TRANSFERRED))
    assert len(sizes) > 20
    assert sum(sizes.values()) <= 100_000, sizes


def test_the_content_policy_is_in_force(open_page: OpenPage, watches: list[Watch]) -> None:
    page = open_page()
    watches[-1].forgive("Content Security Policy")
    see_start(page)
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy

    broken = page.evaluate(
        """async () => {
          const refused = new Promise((resolve) =>
            addEventListener("securitypolicyviolation", (event) => resolve(event.blockedURI)));
          const script = document.createElement("script");
          script.textContent = "document.title = 'taken over'";
          document.head.append(script);
          return refused;
        }"""
    )
    assert broken == "inline"
    expect(page).to_have_title("search_back")


def test_metadata_is_text_and_never_markup(open_page: OpenPage) -> None:
    page = open_page()
    caption = "<img src=x onerror=\"document.title='taken over'\">"
    metadata = {"caption": caption, "url": "javascript:alert(1)"}
    hit = {"id": 1, "similarity": 0.5, "metadata": metadata}
    page.route("**/v1/search", lambda route: route.fulfill(json={"hits": [hit]}))
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    card = cards(page).first
    expect(card).to_contain_text(caption)
    assert card.locator(".tile").get_attribute("href") is None
    expect(page).to_have_title("guitar · search_back")


def _see_something(page: Page, path: str) -> None:
    if path == "?id=999999":
        expect(page.locator("#notice")).not_to_be_empty()
    elif path == MAP:
        expect(page.locator("#map .map-names button").first).to_be_visible(timeout=60_000)
    elif path:
        see_results(page)
    else:
        see_start(page)
