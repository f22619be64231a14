"""The panel beside the results: facets, spans, cut-off, groups, and the expression behind them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, cards, is_call_to, params, see_notice, see_results, sent

ANIMALS = "?query=animal"
_ROUND_TRIP = """async ([text, types]) => {
  const { readFilter, writeFilter } = await import("/filters/expression.js");
  const clauses = readFilter(text, new Map(types));
  return [clauses.map(({ kind }) => kind), writeFilter(clauses, new Map(types))];
}"""
TYPES = [
    ["width", "int64"],
    ["group", "large_string"],
    ["tags", "list<element: string>"],
    ["taken", "timestamp[us]"],
    ["my column", "string"],
    ["ok", "bool"],
]


@pytest.mark.parametrize(
    ("text", "kinds", "written"),
    [
        ("", [], ""),
        ("group = 'a'", ["values"], "group = 'a'"),
        ("group IN ('it''s', \"b\")", ["values"], "group in ('it''s', 'b')"),
        ("width between 5 and 9 and ok = true", ["range", "values"], None),
        ("width >= 5 and width <= 9", ["range"], "width between 5 and 9"),
        ("width >= 5 and width >= 6", ["range", "other"], None),
        ("taken >= '2024-05-01'", ["range"], None),
        ("tags contains 'a' and tags contains 'b'", ["has"], None),
        ("`my column` = 'x'", ["values"], None),
        ("width is null and ok = true", ["null", "values"], None),
        ("`my column` IS NULL", ["null"], "`my column` is null"),
        ("width is not null", ["other"], None),
        ("width > 5 and group = 'a'", ["other", "values"], None),
        ("width = 1 or group = 'a'", ["other"], None),
        ("(width = 1 or ok) and group = 'a'", ["other", "values"], None),
        ("not group = 'a'", ["other"], None),
        ("width = ~", ["other"], None),
    ],
)
def test_expressions_are_read_and_written(
    open_page: OpenPage, text: str, kinds: list[str], written: str | None
) -> None:
    page = open_page()
    assert page.evaluate(_ROUND_TRIP, [text, TYPES]) == [
        kinds,
        text if written is None else written,
    ]


def test_values_with_counts_filter(open_page: OpenPage) -> None:
    page = open_page(ANIMALS)
    see_results(page)
    panel = _open_panel(page)
    facet = _facet(panel, "group")
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        facet.get_by_label("Food & Drink").check()
    assert sent(asked.value.request)["filter"] == "group = 'Food & Drink'"
    see_results(page)
    assert params(page) == {"query": "animal", "filter": "group = 'Food & Drink'"}
    expect(panel.get_by_label("Filter as an expression")).to_have_value("group = 'Food & Drink'")
    expect(page.locator("#filters-count")).to_have_text("1")
    # The others are still there to be chosen, and the focus has not gone.
    expect(facet.get_by_label("Food & Drink")).to_be_focused()
    facet.get_by_label("Objects").check()
    see_results(page)
    assert params(page)["filter"] == "group in ('Food & Drink', 'Objects')"

    page.go_back()
    see_results(page)
    expect(facet.get_by_label("Objects")).not_to_be_checked()
    panel.get_by_role("button", name="Clear all").click()
    see_results(page)
    assert params(page) == {"query": "animal"}


def test_elements_of_a_list_narrow_together(open_page: OpenPage) -> None:
    page = open_page("?query=red&filter=keywords+contains+%27fruit%27")
    see_results(page)
    panel = _open_panel(page)
    facet = _facet(panel, "keywords")
    expect(facet.get_by_label("fruit", exact=False).first).to_be_checked()
    facet.get_by_role("checkbox").nth(1).check()
    see_results(page)
    assert re.fullmatch(
        r"keywords contains 'fruit' and keywords contains '.+'", params(page)["filter"]
    )


def test_the_expression_may_be_edited(open_page: OpenPage, watches: list[Watch]) -> None:
    page = open_page(ANIMALS)
    watches[-1].forgive("400")
    see_results(page)
    panel = _open_panel(page)
    area = panel.get_by_label("Filter as an expression")
    area.fill("caption contains 'CAT' and (kind = 'emoji' or id < 5)")
    area.press("Enter")
    see_results(page)
    captions = cards(page).locator(".caption").all_text_contents()
    assert captions
    assert all("cat" in caption.lower() for caption in captions)
    expect(_facet(panel, "caption").get_by_label("Contains")).to_have_value("CAT")

    area.fill("caption is blue")
    panel.get_by_role("button", name="Apply").click()
    see_notice(page, "The server could not take this search")
    area.fill("")
    panel.get_by_role("button", name="Apply").click()
    see_results(page)


def test_the_cut_off(open_page: OpenPage) -> None:
    page = open_page(ANIMALS)
    see_results(page)
    panel = _open_panel(page)
    slider = panel.get_by_label("Least similarity")
    expect(panel.locator(".cut-off .bars i.in")).to_have_count(40)
    slider.fill("0.4")
    see_results(page)
    assert params(page) == {"query": "animal", "threshold": "0.4"}
    scores = [float(text) for text in page.locator("#results .score").all_text_contents()]
    assert min(scores) >= 0.4
    # Other words have other similarities.
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    see_results(page)
    assert params(page) == {"query": "guitar"}


def test_groups_have_headings(open_page: OpenPage) -> None:
    page = open_page(ANIMALS)
    see_results(page)
    panel = _open_panel(page)
    panel.get_by_label("Group by").select_option("group")
    first = page.locator("#results li.group").first
    expect(first).to_have_text("Animals & Nature")
    assert params(page) == {"query": "animal", "group": "group"}
    first.get_by_role("button").click()
    see_results(page)
    expect(page.locator("#results li.group")).to_have_count(0)
    assert params(page)["filter"] == "group = 'Animals & Nature'"


def test_numbers_have_a_slider_with_two_handles(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/v1/indices", _with_width)
    page.route("**/v1/search", _with_widths)
    page.goto(page.url + "?query=animal")
    see_results(page)
    facet = _facet(_open_panel(page), "width")
    facet.get_by_label("width: from").fill("1")
    assert params(page)["filter"] == "width >= 200"
    facet.get_by_label("width: to").fill("3")
    expect(page).to_have_url(re.compile("between"))
    assert params(page)["filter"] == "width between 200 and 400"
    expect(facet.get_by_label("width: from")).to_have_value("1")
    expect(facet.get_by_label("width: to")).to_have_attribute("aria-valuetext", "400")
    # The handles do not pass each other.
    facet.get_by_label("width: to").fill("0")
    expect(facet.get_by_label("width: to")).to_have_value("2")
    facet.get_by_label("To", exact=True).fill("")
    facet.get_by_label("To", exact=True).press("Tab")
    expect(page).to_have_url(re.compile("%3E%3D"))
    assert params(page)["filter"] == "width >= 200"
    # Whatever is still asked must be answered here too.
    see_results(page)
    expect(page.locator("#filters")).not_to_have_attribute("aria-busy", "true")
    page.unroute_all(behavior="wait")


def test_days_have_a_calendar_and_what_lacks_one_is_a_choice(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/v1/indices", _with_width)
    page.route("**/v1/search", _with_widths)
    page.goto(page.url + "?query=animal")
    see_results(page)
    panel = _open_panel(page)
    first = _facet(panel, "day").get_by_label("From", exact=True)
    expect(first).to_have_attribute("type", "date")
    expect(first).to_have_attribute("min", "2024-05-01")
    first.fill("2024-05-03")
    first.press("Tab")
    expect(page).to_have_url(re.compile("filter=day"))
    assert params(page)["filter"] == "day >= '2024-05-03'"

    none = _facet(panel, "day").locator(".none")
    expect(none).to_have_text("No value3")
    none.get_by_role("checkbox").check()
    expect(page).to_have_url(re.compile("null"))
    assert params(page)["filter"] == "day is null"
    expect(none.get_by_role("checkbox")).to_be_checked()
    none.get_by_role("checkbox").uncheck()
    expect(page).not_to_have_url(re.compile("filter="))
    see_results(page)
    expect(page.locator("#filters")).not_to_have_attribute("aria-busy", "true")
    page.unroute_all(behavior="wait")


def test_nothing_passes(open_page: OpenPage) -> None:
    page = open_page(ANIMALS + "&filter=id+%3C+0")
    see_notice(page, "Nothing passes the filters")


def _open_panel(page: Page) -> Locator:
    page.locator("#filters-toggle").click()
    panel = page.get_by_role("complementary", name="Filters")
    expect(panel.locator(".facet").first).to_be_visible()
    return panel


def _facet(panel: Locator, name: str) -> Locator:
    summary = panel.page.locator("summary").get_by_text(name, exact=True)
    facet = panel.locator("details.facet").filter(has=summary)
    expect(facet).to_have_count(1)
    if facet.get_attribute("open") is None:
        facet.locator("summary").click()
    return facet


def _with_width(route: Route) -> None:
    indices: list[dict[str, Any]] = route.fetch().json()
    for index in indices:
        for name, type_ in (("width", "int64"), ("day", "date32[day]")):
            index["columns"].append({"name": name, "type": type_, "returned": False})
    route.fulfill(json=indices)


def _with_widths(route: Route) -> None:
    """The search without what it says about the columns that the index does not have."""
    asked: dict[str, Any] = sent(route.request)
    facets = asked.get("facets", [])
    plain = {name: value for name, value in asked.items() if name != "filter"}
    plain["facets"] = [name for name in facets if name not in ("width", "day")]
    answer = route.fetch(post_data=plain).json()
    if "day" in facets:
        days = ["2024-05-01", "2024-05-08", "2024-05-15"]
        answer["facets"]["day"] = {
            "least": days[0], "greatest": days[-1], "edges": days, "counts": [5, 8], "nulls": 3,
        }  # fmt: skip
    if "width" in facets:
        edges = [100, 200, 300, 400, 500]
        answer["facets"]["width"] = {
            "least": 100, "greatest": 499, "edges": edges, "counts": [4, 9, 2, 1], "nulls": 0,
        }  # fmt: skip
    route.fulfill(json=answer)
