"""Composed queries: chips with weights, lines in the box, more and less of a result."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Request, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, cards, ids, is_call_to, params, see_results, see_start, sent
from tests.search.lines import LINES

COMPOSED = "?q=2%3Ared+fruit+-+apple"
_READ = """async (lines) => {
  const { parseLine } = await import("/js/syntax.js");
  return lines.map((line) => {
    try {
      return parseLine(line).map(({ kind, value, weight }) => [kind, value, weight]);
    } catch (error) {
      return { reason: error.message, position: error.position };
    }
  });
}"""
_WRITE = """async (rows) => {
  const { formatLine } = await import("/js/syntax.js");
  return rows.map((parts) =>
    formatLine(parts.map(([kind, value, weight]) => ({ kind, value, weight }))));
}"""


def test_the_page_reads_lines_as_the_server_does(open_page: OpenPage) -> None:
    page = open_page()
    lines = [row["line"] for row in LINES["read"]]
    parts = [row["parts"] for row in LINES["read"]]
    assert page.evaluate(_READ, lines) == parts
    # What is written is read as the same.
    assert page.evaluate(_READ, page.evaluate(_WRITE, parts)) == parts
    written = page.evaluate(_WRITE, [row["parts"] for row in LINES["written"]])
    assert written == [row["line"] for row in LINES["written"]]
    refused = page.evaluate(_READ, [row["line"] for row in LINES["refused"]])
    for row, got in zip(LINES["refused"], refused, strict=True):
        assert row["reason"] in got["reason"], row
        assert got["position"] == row["position"], row


def test_a_line_becomes_chips(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#query").fill("2:red fruit + #720 - apple")
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.locator("#query").press("Enter")
    assert _terms(asked.value.request) == [
        {"text": "red fruit", "weight": 2},
        {"id": 720},
        {"text": "apple", "weight": -1},
    ]
    see_results(page)
    expect(page.locator("#terms .chip-label")).to_have_text(["red fruit", "red apple", "apple"])
    expect(page.locator("#terms .minus .chip-label")).to_have_text(["apple"])
    expect(page.locator("#query")).to_have_value("")
    assert params(page) == {"q": "2:red fruit + #720 - apple"}

    page.reload()
    see_results(page)
    expect(page.locator("#terms .chip")).to_have_count(3)
    page.go_back()
    see_start(page)


def test_words_of_a_link_are_words(open_page: OpenPage) -> None:
    page = open_page("?query=2:red%20-%20fruit")
    see_results(page)
    expect(page.locator("#query")).to_have_value('"2:red - fruit"')
    page.locator("#query").press("Enter")
    assert params(page) == {"query": "2:red - fruit"}
    expect(page.locator("#terms .chip")).to_have_count(0)


def test_a_line_without_sense_is_told_at_its_place(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#query").fill('dog + "cat')
    page.locator("#query").press("Enter")
    expect(page.locator("#query-problem")).to_contain_text("(character 7)")
    expect(page.locator("#query")).to_have_attribute("aria-invalid", "true")
    page.locator("#query").fill("dog + ./cat.jpg")
    expect(page.locator("#query-problem")).to_be_empty()
    page.locator("#query").press("Enter")
    expect(page.locator("#query-problem")).to_contain_text("choose the picture")
    assert params(page) == {}


def test_more_and_less_like_a_result(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&deduplicate=false")
    see_results(page)
    first, second = ids(page)[:2]
    cards(page).nth(1).hover()
    cards(page).nth(1).locator('[data-action="more"]').click()
    see_results(page)
    assert params(page) == {"deduplicate": "false", "q": f"guitar + #{second}"}
    expect(cards(page).first).to_have_attribute("data-id", second)

    card = page.locator(f'#results [data-id="{first}"]')
    card.hover()
    card.locator('[data-action="less"]').click()
    see_results(page)
    assert params(page)["q"] == f"guitar + #{second} - #{first}"
    page.go_back()
    see_results(page)
    assert params(page)["q"] == f"guitar + #{second}"


def test_a_chip_by_keys(open_page: OpenPage) -> None:
    page = open_page(COMPOSED)
    see_results(page)
    page.locator("#query").focus()
    page.keyboard.press("Backspace")
    face = page.locator("#terms .chip-face").nth(1)
    expect(face).to_be_focused()
    expect(face).to_have_accessible_name("Away from apple, weight 1: change")
    page.keyboard.press("-")
    page.keyboard.press("ArrowUp")
    expect(face).to_have_accessible_name("apple, weight 1.25: change")
    expect(face).to_be_focused()
    assert params(page) == {"q": "2:red fruit + 1.25:apple"}
    page.keyboard.press("Delete")
    expect(page.locator("#terms .chip")).to_have_count(1)
    assert params(page) == {"q": "2:red fruit"}


def test_the_settings_of_a_chip(open_page: OpenPage) -> None:
    page = open_page(COMPOSED)
    see_results(page)
    page.locator("#terms .chip-face").first.click()
    panel = page.get_by_role("dialog", name="Settings of the term")
    panel.get_by_label("Words").fill("green fruit")
    panel.get_by_label("Words").press("Tab")
    panel.get_by_label("Weight").fill("3")
    panel.get_by_label("Away from it").check()
    assert params(page) == {"q": "- 3:green fruit - apple"}
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#terms .chip-label")).to_have_text(["green fruit", "apple"])


def test_changes_of_weight_are_no_steps_back(open_page: OpenPage) -> None:
    page = open_page()
    see_start(page)
    page.locator("#query").fill("2:snow")
    page.locator("#query").press("Enter")
    see_results(page)
    page.locator("#terms .chip-face").press("ArrowUp")
    assert params(page) == {"q": "2.25:snow"}
    page.go_back()
    see_start(page)


@pytest.mark.parametrize("query", ["9007199254740993", "9223372036854775807"])
def test_ids_beyond_exact_numbers_survive(open_page: OpenPage, query: str) -> None:
    page = open_page()
    near = int(query) - 1
    body = f'{{"hits": [{{"id": {query}, "similarity": 0.5, "metadata": {{"caption": "a", '
    body += f'"n": {near}}}}}], "cursor": null, "facets": {{}}}}'
    page.route("**/v1/search", lambda route: route.fulfill(body=body))
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    card = cards(page).first
    expect(card).to_have_attribute("data-id", query)
    card.hover()
    with page.expect_request("**/v1/search") as asked:
        card.locator('[data-action="similar"]').click()
    assert _terms(asked.value) == [{"id": query}]
    assert params(page) == {"id": query}


def test_an_older_backend_takes_one_thing_at_a_time(
    open_page: OpenPage, watches: list[Watch]
) -> None:
    page = open_page()
    watches[-1].forgive("404")
    page.route("**/v1/**", _not_there)
    page.goto(page.url + "?query=guitar&deduplicate=false")
    card = see_results(page).first
    expect(page.locator("#status")).to_have_text("1,000 results")
    expect(page.locator("#filters-toggle")).to_be_hidden()
    expect(card.locator('[data-action="more"]')).to_be_hidden()
    with page.expect_response(lambda r: is_call_to("/metadata", r)):
        page.mouse.wheel(0, 20_000)

    page.locator("#query").fill("red - apple")
    with page.expect_response(lambda r: is_call_to("/knn-service", r)) as asked:
        page.locator("#query").press("Enter")
    assert sent(asked.value.request)["text"] == "red - apple"
    see_results(page)
    expect(page.locator("#terms")).to_be_hidden()
    see_results(page).first.locator('[data-action="similar"]').dispatch_event(
        "click", {"button": 0}
    )
    see_results(page)
    expect(page.locator("#terms .chip")).to_have_count(1)
    page.locator("#query").fill("snow")
    page.locator("#query").press("Enter")
    expect(page.locator("#terms .chip")).to_have_count(0)
    assert params(page)["query"] == "snow"


def _not_there(route: Route) -> None:
    route.fulfill(status=404, body="<h1>Not Found</h1>")


def _terms(request: Request) -> list[dict[str, Any]]:
    terms = sent(request)["query"]
    assert isinstance(terms, list)
    return terms
