"""Searching by a picture: chosen, dropped, pasted, by its address, or one of the results."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from playwright.sync_api import JSHandle, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import (
    Watch,
    cards,
    ids,
    is_call_to,
    params,
    see_notice,
    see_results,
    see_start,
    sent,
)
from tests.e2e.running import FileHost, SearchServer

_TRANSFER = """([text, name, type]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}"""
_PASTE = """(clipboardData) => document.activeElement.dispatchEvent(
  new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))"""


def test_choose(open_page: OpenPage, pizza: Path) -> None:
    page = open_page()
    with page.expect_file_chooser() as chooser:
        page.locator("#choose-picture").click()
    chooser.value.set_files(pizza)
    _see_pizza_first(page)
    _see_chip(page, pizza.name)


def test_drop(open_page: OpenPage, pizza: Path) -> None:
    page = open_page()
    transfer = _transfer(page, pizza)
    page.dispatch_event("main", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_be_hidden()
    _see_pizza_first(page)
    _see_chip(page, pizza.name)


def test_a_drop_adds_to_the_search_or_replaces_it(open_page: OpenPage, pizza: Path) -> None:
    page = open_page("?query=guitar")
    see_results(page)
    transfer = _transfer(page, pizza)
    page.dispatch_event("main", "dragenter", {"dataTransfer": transfer})
    place = page.locator("#drop-add").bounding_box()
    assert place is not None
    where = {"clientX": place["x"] + 9, "clientY": place["y"] + 9}
    page.dispatch_event("main", "drop", {"dataTransfer": transfer, **where})
    expect(page.locator("#terms .chip-label")).to_have_text(["guitar", pizza.name])
    see_results(page)
    page.dispatch_event("main", "drop", {"dataTransfer": _transfer(page, pizza)})
    expect(page.locator("#terms .chip-label")).to_have_text([pizza.name])


def test_paste(open_page: OpenPage, pizza: Path) -> None:
    page = open_page()
    expect(page.locator("#query")).to_be_focused()
    _transfer(page, pizza).evaluate(_PASTE)
    _see_pizza_first(page)
    _see_chip(page, pizza.name)


def test_back_and_reload_find_the_picture_again(open_page: OpenPage, pizza: Path) -> None:
    page = open_page()
    page.locator("#picture-file").set_input_files(pizza)
    _see_pizza_first(page)

    page.locator("#terms .chip-clear").click()
    see_start(page)
    expect(page.locator("#terms")).to_be_hidden()
    expect(page.locator("#query")).to_be_focused()

    page.go_back()
    _see_pizza_first(page)
    page.reload()
    _see_pizza_first(page)
    _see_chip(page, pizza.name)


def test_words_join_the_picture(open_page: OpenPage, pizza: Path) -> None:
    page = open_page()
    page.locator("#picture-file").set_input_files(pizza)
    _see_pizza_first(page)
    page.locator("#query").fill("2:guitar")
    page.locator("#query").press("Enter")
    expect(page.locator("#terms .chip")).to_have_count(2)
    see_results(page)
    # The picture does not fit into the address; the history entry has it.
    assert params(page) == {"q": "2:guitar"}
    page.reload()
    expect(page.locator("#terms .chip")).to_have_count(2)


def test_several_pictures_are_several_terms(open_page: OpenPage, home: Path, pizza: Path) -> None:
    page = open_page()
    (apple,) = (home / "pictures").glob("emoji_*_red-apple.jpg")
    with page.expect_response(lambda r: is_call_to("/v1/search", r)) as asked:
        page.locator("#picture-file").set_input_files([pizza, apple])
    assert len(sent(asked.value.request)["query"]) == 2
    labels = page.locator("#terms .chip-label")
    expect(labels).to_have_text([pizza.name, apple.name])
    see_results(page)


def test_a_file_that_is_no_picture(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("?query=guitar")
    see_results(page)
    path = tmp_path / "letter.png"
    path.write_text("Dear all,")
    page.locator("#picture-file").set_input_files(path)
    expect(page.locator("#toast")).to_contain_text("letter.png")
    see_results(page)
    assert params(page) == {"query": "guitar"}


def test_address(
    open_page: OpenPage, trusting_server: SearchServer, pictures_host: FileHost, pizza: Path
) -> None:
    page = open_page(at=trusting_server.url, also=(pictures_host.url,))
    address = pictures_host.url + pizza.name
    page.locator("#query").fill(address)
    expect(page.locator("#address-hint")).to_be_visible()
    page.locator("#query").press("Enter")
    _see_pizza_first(page)
    _see_chip(page, "127.0.0.1")
    assert params(page) == {"imageUrl": address}
    expect(page.locator("#query")).to_have_value("")

    page.reload()
    _see_pizza_first(page)


def test_paste_an_address(
    open_page: OpenPage, trusting_server: SearchServer, pictures_host: FileHost, pizza: Path
) -> None:
    page = open_page(at=trusting_server.url, also=(pictures_host.url,))
    address = pictures_host.url + pizza.name
    page.evaluate_handle(
        "(text) => { const t = new DataTransfer(); t.setData('text/plain', text); return t; }",
        address,
    ).evaluate(_PASTE)
    _see_pizza_first(page)
    assert params(page) == {"imageUrl": address}


def test_an_address_that_is_refused(
    open_page: OpenPage, pictures_host: FileHost, pizza: Path, watches: list[Watch]
) -> None:
    page = open_page(also=(pictures_host.url,))
    watches[-1].forgive("400")
    page.locator("#query").fill(pictures_host.url + pizza.name)
    page.locator("#query").press("Enter")
    notice = see_notice(page, "could not take this search")
    expect(notice).to_contain_text("loopback")


@pytest.mark.parametrize("name", ["nothing.jpg", "emoji_0001_grinning-face.txt"])
def test_an_address_without_a_picture(
    open_page: OpenPage,
    trusting_server: SearchServer,
    pictures_host: FileHost,
    watches: list[Watch],
    name: str,
) -> None:
    page = open_page(
        f"?imageUrl={pictures_host.url}{name}", at=trusting_server.url, also=(pictures_host.url,)
    )
    watches[-1].forgive("40[04]|422")
    see_notice(page, "could not take this search")


def test_similar_to_a_result(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&deduplicate=false")
    card = see_results(page).nth(2)
    id_, caption = card.get_attribute("data-id"), card.locator(".caption").inner_text()
    card.hover()
    card.locator('[data-action="similar"]').click()

    _see_chip(page, caption)
    expect(see_results(page).first).to_have_attribute("data-id", str(id_))
    assert params(page) == {"deduplicate": "false", "id": id_}
    first = ids(page)

    page.reload()
    see_results(page)
    _see_chip(page, caption)
    assert ids(page)[: len(first)] == first[: len(ids(page))]


def test_drag_a_result_onto_the_page(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&deduplicate=false")
    card = see_results(page).nth(1)
    id_ = card.get_attribute("data-id")
    card.locator(".tile").drag_to(page.locator("#search"))
    expect(page.locator("#terms .chip")).to_have_count(1)
    expect(see_results(page).first).to_have_attribute("data-id", str(id_))


def _transfer(page: Page, path: Path) -> JSHandle:
    text = base64.b64encode(path.read_bytes()).decode("ascii")
    return page.evaluate_handle(_TRANSFER, [text, path.name, "image/jpeg"])


def _see_pizza_first(page: Page) -> None:
    see_results(page)
    expect(cards(page).first.locator(".caption")).to_have_text("pizza")


def _see_chip(page: Page, label: str) -> None:
    chip = page.locator("#terms .chip")
    expect(chip).to_be_visible()
    expect(chip.locator(".chip-label")).to_have_text(label)
    expect(chip.locator("img")).to_have_js_property("complete", True)
    assert chip.locator("img").evaluate("(img) => img.naturalWidth") > 0
