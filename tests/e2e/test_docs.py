"""The page that tells the HTTP API."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from search_back.server.openapi import openapi
from tests.e2e.conftest import OpenPage
from tests.e2e.looking import overflow


def told(page: Page) -> None:
    expect(page.locator("article.route").first).to_be_visible()
    expect(page.get_by_text("Loading…")).to_have_count(0)


def test_it_tells_every_route_and_field(open_page: OpenPage) -> None:
    page = open_page("docs")
    told(page)
    paths = sorted(page.locator("article .path").all_inner_texts())
    assert paths == sorted(openapi()["paths"])
    fields = openapi()["components"]["schemas"]["SearchRequest"]["properties"]
    shown = page.locator("#search [aria-label='SearchRequest of /v1/search'] .field")
    assert [text.rstrip("*") for text in shown.all_inner_texts()] == list(fields)


def test_a_command_to_copy(open_page: OpenPage) -> None:
    page = open_page("docs", permissions=["clipboard-read", "clipboard-write"])
    told(page)
    page.locator("#thumbnail > .example .copy").click()
    expect(page.locator("#toast")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    address = page.url.removesuffix("docs")
    assert copied == f"curl '{address}indices/index/thumbnails/7'"


def test_a_quote_in_a_command_survives_the_shell(open_page: OpenPage) -> None:
    page = open_page("docs")
    told(page)
    command = page.locator("#search .example", has_text="terms").locator("code").inner_text()
    assert "caption contains '\\''dog'\\''" in command


def test_a_route_has_an_address_of_its_own(open_page: OpenPage) -> None:
    page = open_page("docs#reload")
    told(page)
    expect(page.locator("#reload")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_it_is_accessible_and_fits(open_page: OpenPage, scheme: Any, width: int) -> None:
    page = open_page("docs", color_scheme=scheme, viewport={"width": width, "height": 740})
    told(page)
    page.locator("#search details.answer summary").first.click()
    assert overflow(page) == 0
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found]
