"""What goes wrong is said in words, and mended without a reload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, search_words, see_notice, see_results, see_start
from tests.e2e.running import SearchServer


@pytest.fixture
def frail_server(home: Path, tmp_path: Path) -> Iterator[SearchServer]:
    """One that a test may stop and start."""
    with SearchServer(tmp_path / "frail", {"emoji": home / "index"}) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("?index=nothing&query=guitar", "there is no such index"),
        ("?index=nothing&id=1", "there is no such index"),
        ("?id=999999", "999999"),
        ("?id=many", "many"),
        ("?imageUrl=ftp://example.org/a.png", "ftp"),
    ],
)
def test_a_link_that_is_wrong(
    open_page: OpenPage, watches: list[Watch], path: str, words: str
) -> None:
    page = open_page(path)
    watches[-1].forgive("40[04]")
    notice = see_notice(page, "The server could not take this search")
    expect(notice).to_contain_text(words)
    # The page is still good for another search.
    page.locator("#query").fill("guitar")
    if "index=nothing" in path:
        page.locator("#index").select_option("emoji")
    page.locator("#query").press("Enter")


def test_words_beyond_the_limit(open_page: OpenPage, watches: list[Watch]) -> None:
    page = open_page()
    watches[-1].forgive("400")
    page.locator("#query").fill("word " * 5000)
    page.locator("#query").press("Enter")
    see_notice(page, "max_text_characters")
    search_words(page, "guitar")


def test_a_server_that_went_away_and_came_back(
    open_page: OpenPage, frail_server: SearchServer, watches: list[Watch]
) -> None:
    page = open_page(at=frail_server.url)
    watches[-1].forgive("ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")
    see_start(page)
    search_words(page, "guitar")

    frail_server.stop()
    page.locator("#query").fill("snow")
    page.locator("#query").press("Enter")
    notice = see_notice(page, "The search server is away")
    expect(notice).to_contain_text(frail_server.url)
    retry = notice.locator('[data-action="retry"]')
    with page.expect_event("requestfailed"):
        retry.click()
    see_notice(page, "The search server is away")

    frail_server.start()
    retry.click()
    see_results(page)
    expect(page.locator("#query")).to_have_value("snow")


def test_an_answer_that_makes_no_sense(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/v1/search", lambda route: route.fulfill(body="<html>a proxy's page</html>"))
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    see_notice(page, "makes no sense")


def test_the_page_may_talk_to_another_server(
    open_page: OpenPage, trusting_server: SearchServer
) -> None:
    back = trusting_server.url
    page = open_page(f"?back={back}&query=guitar", also=(back,))
    card = see_results(page).first
    assert str(card.locator("img").get_attribute("src")).startswith(back + "indices/")
    # That server has one index: there is nothing to choose.
    expect(page.locator("#index")).to_have_value("emoji")
    expect(page.locator("#index-choice")).to_be_hidden()
