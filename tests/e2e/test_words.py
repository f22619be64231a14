"""Searching by words, and the address bar that holds every search."""

from __future__ import annotations

from playwright.sync_api import Response, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import (
    cards,
    ids,
    is_call_to,
    params,
    search_words,
    see_notice,
    see_results,
    see_start,
)


def test_start_page_offers_examples_of_its_index(open_page: OpenPage) -> None:
    page = open_page()
    see_start(page)
    expect(page).to_have_title("search_back")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(cards(page)).to_have_count(0)

    example = page.locator("#examples a").first
    words = example.inner_text()
    example.click()

    see_results(page)
    assert params(page) == {"query": words}
    expect(page.locator("#query")).to_have_value(words)


def test_words_and_enter(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#query").press_sequentially("red fruit")
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.locator("#query").press("Enter")
    see_results(page)
    assert params(page) == {"query": "red fruit"}
    assert _sent(asked.value)["query"] == [{"text": "red fruit"}]
    assert ids(page) == [str(hit["id"]) for hit in asked.value.json()["hits"]][: len(ids(page))]


def test_the_button_searches_too(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#query").fill("guitar")
    page.locator("#submit").click()
    see_results(page)
    assert params(page) == {"query": "guitar"}


def test_any_script_is_a_query(open_page: OpenPage) -> None:
    page = open_page()
    words = "рыжая кошка & 猫 = 🐈 <b>"
    search_words(page, words)
    assert params(page) == {"query": words}
    page.reload()
    expect(page.locator("#query")).to_have_value(words)
    see_results(page)


def test_back_and_forward_restore_a_search(open_page: OpenPage) -> None:
    page = open_page()
    see_start(page)
    search_words(page, "guitar")
    first = ids(page)
    search_words(page, "snow")
    second = ids(page)

    page.go_back()
    expect(page.locator("#query")).to_have_value("guitar")
    see_results(page)
    assert params(page) == {"query": "guitar"}
    assert ids(page)[: len(first)] == first

    page.go_back()
    see_start(page)
    expect(page.locator("#query")).to_have_value("")
    assert params(page) == {}

    page.go_forward()
    page.go_forward()
    expect(page.locator("#query")).to_have_value("snow")
    see_results(page)
    assert ids(page)[: len(second)] == second


def test_home_leads_to_the_start_page(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&index=again")
    see_results(page)
    page.locator("#home").click()
    see_start(page)
    assert params(page) == {"index": "again"}


def test_reload_gives_the_same(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&modality=text&deduplicate=false&index=again")
    see_results(page)
    before = ids(page)[:10]
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.reload()
    see_results(page)
    assert ids(page)[:10] == before
    sent = _sent(asked.value)
    assert (sent["modality"], sent["deduplicate"], sent["index"]) == ("text", False, "again")
    expect(page.locator("#index")).to_have_value("again")


def test_options_change_the_search_and_the_address(open_page: OpenPage) -> None:
    page = open_page("?query=guitar")
    see_results(page)
    page.locator("#options summary").click()
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.locator("#modality").select_option("text")
    assert _sent(asked.value)["modality"] == "text"
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.locator("#deduplicate").uncheck()
    assert _sent(asked.value)["deduplicate"] is False
    see_results(page)
    assert params(page) == {"query": "guitar", "modality": "text", "deduplicate": "false"}
    # The caption is the words themselves: compared with captions, nothing can be nearer.
    expect(cards(page).first.locator(".caption")).to_have_text("guitar")

    page.locator("#index").select_option("again")
    see_results(page)
    assert params(page)["index"] == "again"


def test_clearing_the_box_keeps_the_results(open_page: OpenPage) -> None:
    page = open_page("?query=guitar")
    see_results(page)
    page.locator("#clear-text").click()
    expect(page.locator("#query")).to_have_value("")
    expect(page.locator("#query")).to_be_focused()
    expect(page.locator("#clear-text")).to_be_hidden()
    see_results(page)


def test_nothing_found_is_said(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/v1/search", lambda route: route.fulfill(json={"hits": []}))
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    see_notice(page, "Nothing found")


def _sent(response: Response) -> dict[str, object]:
    sent = response.request.post_data_json
    assert isinstance(sent, dict)
    return sent
