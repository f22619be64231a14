"""A server that asks for a key: the page asks its user, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from search_back.guard import add_key
from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, see_notice, see_results, see_start
from tests.e2e.running import SearchServer


@pytest.fixture
def key(tmp_path: Path) -> str:
    return add_key(tmp_path / "keys.json", "page", scopes=["read"])


@pytest.fixture
def locked(home: Path, tmp_path: Path, key: str) -> Iterator[SearchServer]:
    options = ("--keys-file", str(tmp_path / "keys.json"))
    with SearchServer(tmp_path / "locked", {"emoji": home / "index"}, *options) as server:
        yield server


def give(page: Page, key: str) -> None:
    page.get_by_label("This server asks for a key").fill(key)
    page.get_by_role("button", name="Use it").click()


def test_with_a_key_the_page_searches_and_shows_pictures(
    open_page: OpenPage, watches: list[Watch], locked: SearchServer, key: str
) -> None:
    page = open_page("?query=guitar", at=locked.url)
    watches[-1].forgive("401")
    give(page, "sb_wrong")
    expect(page.get_by_label("This server asks for a key")).to_have_value("")
    give(page, f" {key} ")
    see_results(page)
    expect(page.locator("#key")).not_to_be_visible()
    # Kept while the tab is open; nothing of it is in the address.
    page.reload()
    see_results(page)
    expect(page.locator("#key")).not_to_be_visible()
    assert key not in page.url
    page.close()  # before the server that it still asks for pictures


def test_who_gives_none_is_told_why_and_asked_again(
    open_page: OpenPage, watches: list[Watch], locked: SearchServer, key: str
) -> None:
    page = open_page(at=locked.url)
    watches[-1].forgive("401")
    page.get_by_label("This server asks for a key").press("Escape")
    notice = see_notice(page, "a key is needed here")
    notice.get_by_role("button", name="Try again").click()
    give(page, key)
    see_start(page)
    page.close()


def test_a_backend_that_a_link_names_gets_no_key(
    open_page: OpenPage,
    watches: list[Watch],
    server: SearchServer,
    locked: SearchServer,
) -> None:
    page = open_page(f"?back={locked.url}&query=guitar", also=(locked.url,))
    watches[-1].forgive("401")
    see_notice(page, "a key is needed here")
    expect(page.locator("#key")).not_to_be_visible()
