"""What comes up over the page: large view, sketch pad, part of a picture, help; downloads."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import cards, ids, is_call_to, params, see_results, see_start, sent

GUITARS = "?query=guitar&deduplicate=false"
_AS_CSV = """async (rows) => (await import("/js/download.js")).asCsv(rows)"""


def test_the_large_view(open_page: OpenPage) -> None:
    page = open_page(GUITARS)
    see_results(page)
    first, second = ids(page)[:2]
    cards(page).first.locator(".tile").click()
    view = page.get_by_role("dialog")
    whole = f"/indices/emoji/pictures/{first}"
    expect(view.locator("img")).to_have_js_property("src", page.url.split("?")[0][:-1] + whole)
    expect(view.get_by_role("link", name="Open the original")).to_have_attribute(
        "href", page.url.split("?")[0][:-1] + whole
    )
    # Every column is told, also those that searches do not bring along.
    expect(view.locator(".facts dt")).to_contain_text(["id", "Similarity", "keywords", "licence"])
    expect(view.locator(".facts dd").first).to_have_text(first)
    expect(view.get_by_role("button", name="Previous")).to_be_disabled()

    page.keyboard.press("ArrowRight")
    expect(view.locator(".facts dd").first).to_have_text(second)
    page.keyboard.press("Escape")
    expect(view).to_have_count(0)
    expect(page.locator(f'[data-id="{second}"] .tile')).to_be_focused()


def test_keys_of_the_large_view(open_page: OpenPage) -> None:
    page = open_page(GUITARS)
    see_results(page)
    first = ids(page)[0]
    cards(page).first.locator(".tile").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("l")
    see_results(page)
    assert params(page)["q"] == f"guitar - #{first}"
    cards(page).first.locator(".tile").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("s")
    expect(page).to_have_url(re.compile(r"\bid="))
    see_results(page)
    assert set(params(page)) == {"id", "deduplicate"}


def test_arrows_lead_from_result_to_result(open_page: OpenPage) -> None:
    page = open_page(GUITARS)
    see_results(page)
    tiles = page.locator("#results .tile")
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('.run')).gridTemplateColumns.split(' ').length"
    )
    expect(tiles.nth(1 + columns)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(tiles.nth(1)).to_be_focused()


def test_a_sketch_is_a_picture(open_page: OpenPage) -> None:
    page = open_page()
    see_start(page)
    page.locator("#sketch").click()
    pad = page.get_by_role("dialog", name="Draw what to look for")
    search = pad.get_by_role("button", name="Search")
    expect(search).to_be_disabled()
    pad.get_by_role("button", name="red", exact=True).click()
    pad.get_by_role("button", name="very thick").click()
    _draw(page, pad.locator("canvas"), [(200, 200), (300, 300), (200, 300)])
    assert _ink(pad) > 1000
    pad.get_by_role("button", name="Undo").click()
    assert _ink(pad) == 0
    expect(search).to_be_disabled()

    _draw(page, pad.locator("canvas"), [(100, 100), (300, 300)])
    pad.get_by_role("button", name="Eraser").click()
    before = _ink(pad)
    _draw(page, pad.locator("canvas"), [(100, 100), (200, 200)])
    assert 0 < _ink(pad) < before
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        search.click()
    (term,) = sent(asked.value.request)["query"]
    assert term["image"].startswith("iVBOR")
    expect(page.locator("#terms .chip-label")).to_have_text(["Sketch"])
    see_results(page)


def test_a_sketch_by_keys(open_page: OpenPage) -> None:
    page = open_page(GUITARS)
    see_results(page)
    page.locator("#results .tile").first.focus()
    page.keyboard.press("d")
    pad = page.get_by_role("dialog", name="Draw what to look for")
    expect(pad.locator("canvas")).to_be_focused()
    for key in ("Space", "ArrowRight", "ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    assert _ink(pad) > 100
    pad.get_by_role("button", name="Add to the search").press("Enter")
    expect(page.locator("#terms .chip-label")).to_have_text(["guitar", "Sketch"])


def test_a_part_of_a_picture(open_page: OpenPage, pizza: Path) -> None:
    page = open_page()
    page.locator("#picture-file").set_input_files(pizza)
    see_results(page)
    page.locator("#terms .chip-face").click()
    page.get_by_role("button", name="Search a part of it").click()
    frame = page.get_by_role("application", name="Part of the picture")
    expect(frame).to_be_focused()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    box, stage = frame.bounding_box(), page.locator(".stage").bounding_box()
    assert box is not None
    assert stage is not None
    assert abs((box["x"] - stage["x"]) / stage["width"] - 0.18) < 0.01
    assert abs(box["width"] / stage["width"] - 0.58) < 0.01

    _draw(page, page.locator(".stage"), [(2, 2), (60, 40)])
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.get_by_role("button", name="Search this part").click()
    (term,) = sent(asked.value.request)["query"]
    assert term["image"]
    expect(page.locator("#terms .chip-label")).to_have_text(["Part of a picture"])
    see_results(page)
    page.go_back()
    expect(page.locator("#terms .chip-label")).to_have_text([pizza.name])


def test_a_part_of_an_item(open_page: OpenPage) -> None:
    page = open_page("?q=guitar+%2B+%23720")
    see_results(page)
    page.locator("#terms .chip-face").nth(1).click()
    page.get_by_role("button", name="Search a part of it").click()
    page.get_by_role("button", name="Search this part").click()
    expect(page.locator("#terms .chip-label")).to_have_text(["guitar", "Part of a picture"])
    see_results(page)


def test_help(open_page: OpenPage) -> None:
    page = open_page(GUITARS)
    see_results(page)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys and help")
    expect(sheet.locator("kbd").first).to_have_text("/")
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_have_count(0)


def test_results_as_files(open_page: OpenPage) -> None:
    page = open_page(GUITARS)
    see_results(page)
    shown = ids(page)
    rows = json.loads(_download(page, "JSON"))
    assert [str(row["id"]) for row in rows][: len(shown)] == shown
    assert len(rows) == 1000
    assert {"caption", "keywords", "similarity", "picture"} <= set(rows[0])

    table = list(csv.DictReader(io.StringIO(_download(page, "CSV"))))
    assert [row["id"] for row in table] == [str(row["id"]) for row in rows]
    assert json.loads(table[0]["keywords"]) == rows[0]["keywords"]
    addresses = _download(page, "List of addresses").splitlines()
    assert addresses == [row["picture"] for row in rows]


def test_a_table_is_safe_and_exact(open_page: OpenPage) -> None:
    page = open_page()
    metadata = {"caption": '=1+1, "x"\n', "n": "9007199254740993", "none": None}
    row: dict[str, Any] = {"id": "9223372036854775807", "similarity": 0.5, "address": ""}
    assert page.evaluate(_AS_CSV, [{**row, "metadata": metadata}]) == (
        "id,similarity,picture,caption,n,none\r\n"
        '9223372036854775807,0.5,,"\'=1+1, ""x""\n",9007199254740993,\r\n'
    )


def _download(page: Page, label: str) -> str:
    page.locator("#download summary").click()
    with page.expect_download() as downloaded:
        page.locator("#download").get_by_role("button", name=label).click()
    return Path(downloaded.value.path()).read_bytes().decode("utf-8")


def _draw(page: Page, place: Locator, points: list[tuple[int, int]]) -> None:
    box = place.bounding_box()
    assert box is not None
    (x, y), *rest = points
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.down()
    for x, y in rest:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    page.mouse.up()


def _ink(pad: Locator) -> int:
    """How many pixels are not white."""
    count = pad.locator("canvas").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let ink = 0;
          for (let i = 0; i < data.length; i += 4) ink += data[i + 1] < 250 || data[i] < 250;
          return ink;
        }"""
    )
    return int(count)
