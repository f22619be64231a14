"""The page of whoever runs the server: indices, charts of what it does, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from search_back.guard import add_key
from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, overflow, see_start
from tests.e2e.running import SearchServer

# Strings of JavaScript, of which Python must not read the backslashes.
EXPOSITION = r"""# HELP odd What is odd
# TYPE odd counter
odd_total{path="C:\\dir\n\"x\", y={1}",le="+Inf"} 3 1700000000000
odd_total 1e3

spaced{ a = "b" , c = "" , }  -2.5
none NaN
most +Inf
least{} -Inf
not a sample
broken{a="b} 1
"""
PARSED = [
    {"name": "odd_total", "labels": {"path": 'C:\\dir\n"x", y={1}', "le": "+Inf"}, "value": "3"},
    {"name": "odd_total", "labels": {}, "value": "1000"},
    {"name": "spaced", "labels": {"a": "b", "c": ""}, "value": "-2.5"},
    {"name": "none", "labels": {}, "value": "NaN"},
    {"name": "most", "labels": {}, "value": "Infinity"},
    {"name": "least", "labels": {}, "value": "-Infinity"},
]
_PARSE = """async (text) => {
  const { parse } = await import("/status/prometheus.js");
  return parse(text).map((sample) => ({ ...sample, value: String(sample.value) }));
}"""
_RATES = """async ({ looks, steps }) => {
  const { parse } = await import("/status/prometheus.js");
  const { createRates } = await import("/status/rates.js");
  const rates = createRates(steps);
  looks.forEach(([at, text]) => rates.add(at, parse(text)));
  return [rates.rate("n_total"), rates.increase("n_total", ({ k }) => k === "b"),
    rates.quantile(0.5, "s"), rates.quantile(0.99, "s"), rates.quantile(0.5, "other")];
}"""


@pytest.fixture
def half(home: Path, tmp_path: Path) -> Iterator[SearchServer]:
    """Of its two indices one is not there."""
    indices = {"emoji": home / "index", "lost": tmp_path / "lost"}
    with SearchServer(tmp_path / "half", indices) as server:
        yield server


def see_status(page: Page) -> None:
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("ready|limited"))
    expect(page.locator("#charts .legend").first).not_to_be_empty()


def chart(page: Page, title: str) -> Any:
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator("article.chart").filter(has=heading)


def test_the_text_format_is_read_whatever_stands_in_labels(open_page: OpenPage) -> None:
    page = open_page("status.html")
    assert page.evaluate(_PARSE, EXPOSITION) == PARSED


def test_rates_survive_a_restart_and_quantiles_are_interpolated(open_page: OpenPage) -> None:
    page = open_page("status.html")

    def at(a: int, b: int | None, *buckets: int) -> str:
        lines = [f'n_total{{k="a"}} {a}', *([f'n_total{{k="b"}} {b}'] if b is not None else [])]
        bounds = ("0.1", "0.2", "+Inf")
        lines += [f's_bucket{{le="{le}"}} {n}' for le, n in zip(bounds, buckets, strict=True)]
        return "\n".join(lines)

    looks = [
        [0, at(100, None, 0, 0, 0)],
        [10, at(110, 4, 10, 30, 40)],  # b is new: it rose from 0
        [20, at(6, 1, 10, 30, 40)],  # began again, with 6 and 1
    ]
    rate, b, median, p99, none = page.evaluate(_RATES, {"looks": looks, "steps": 5})
    assert rate == pytest.approx((10 + 4 + 6 + 1) / 20)
    assert b == 5
    assert median == pytest.approx(0.15)
    assert p99 == 0.2  # past the last bound nothing is known
    assert none is None
    # Looked back on one step only, the histogram stood still.
    rate, _, median, _, _ = page.evaluate(_RATES, {"looks": looks, "steps": 1})
    assert rate == pytest.approx(0.7)
    assert median is None


def test_it_tells_indices_and_what_is_wrong_with_one(
    open_page: OpenPage, watches: list[Watch], half: SearchServer
) -> None:
    page = open_page("status.html", at=half.url)
    watches[-1].forgive("503")
    see_status(page)
    expect(page.locator("#state")).to_have_attribute("data-state", "limited")
    fine = page.locator('[data-index="emoji"]')
    expect(fine.locator(".badge")).to_have_text("ready")
    expect(fine).to_contain_text("2,199")
    row = fine.get_by_role("row", name=re.compile("^Pictures"))
    expect(row).to_contain_text("192")
    expect(row).to_contain_text(re.compile(r"\d+(\.\d+)? % by words"))
    expect(row).to_contain_text(re.compile(r"\d+(\.\d+)? ms by picture"))
    lost = page.locator('[data-index="lost"]')
    expect(lost.locator(".badge")).to_have_text("does not answer")
    expect(lost.locator(".problem")).to_contain_text("the index folder does not exist")
    page.close()


def test_charts_follow_what_the_server_does(open_page: OpenPage) -> None:
    page = open_page("status.html")
    page.clock.install()
    page.reload()
    see_status(page)
    speed = chart(page, "Time of a query").locator("b").first
    expect(speed).to_have_text("–")
    body = {"query": [{"text": "guitar"}], "k": 5}
    for _ in range(3):
        assert page.request.post("/v1/search", data=body).ok
    page.clock.run_for(3000)
    expect(speed).to_have_text(re.compile(r"^[\d.,]+ m?s$"))
    answered = chart(page, "Requests").locator("b").first
    expect(answered).to_have_text(re.compile(r"^[\d.,]+ /s$"))
    assert answered.inner_text() != "0 /s"
    drawing = chart(page, "Requests").get_by_role("img")
    expect(drawing).to_have_accessible_name(re.compile(r"^Requests: answered .* At most"))
    chart(page, "Requests").locator("summary").click()
    rows = chart(page, "Requests").locator("tbody tr")
    expect(rows.first.get_by_role("rowheader")).to_have_text(re.compile(r"\d:\d\d"))
    assert rows.count() >= 2


def test_a_server_that_goes_away_is_told_and_found_again(
    open_page: OpenPage, watches: list[Watch]
) -> None:
    page = open_page("status.html")
    watches[-1].forgive("ERR_INTERNET_DISCONNECTED|Failed to load")
    see_status(page)
    page.context.set_offline(True)
    notice = page.locator("#notice")
    expect(notice).to_contain_text("The search server is away")
    expect(page.locator("#state")).to_have_text("does not answer")
    page.context.set_offline(False)
    page.locator("#again").click()
    expect(notice).to_be_hidden()
    see_status(page)


def test_it_asks_for_the_key_of_a_server_that_has_some(
    open_page: OpenPage, watches: list[Watch], home: Path, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys.json", "page", scopes=["read"])
    options = ("--keys-file", str(tmp_path / "keys.json"))
    with SearchServer(tmp_path / "locked", {"emoji": home / "index"}, *options) as server:
        page = open_page("status.html", at=server.url)
        watches[-1].forgive("401|503")
        page.get_by_label("This server asks for a key").fill(key)
        page.get_by_role("button", name="Use it").click()
        see_status(page)
        expect(page.locator('[data-index="emoji"]')).to_be_visible()
        page.close()


def test_the_page_leads_to_it(open_page: OpenPage) -> None:
    page = open_page(locale="de")
    see_start(page)
    page.locator("#options summary").click()
    page.get_by_role("link", name="Zustand des Servers").click()
    see_status(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Zustand des Servers")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_it_is_accessible_and_fits(
    open_page: OpenPage,
    watches: list[Watch],
    half: SearchServer,
    scheme: Any,
    width: int,
) -> None:
    size = {"width": width, "height": 740}
    page = open_page("status.html", at=half.url, color_scheme=scheme, viewport=size)
    watches[-1].forgive("503")
    see_status(page)
    page.locator(".as-table summary").first.click()
    assert overflow(page) == 0
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found]
    page.close()
