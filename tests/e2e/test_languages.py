"""The page in other languages: chosen by the browser, changeable, and complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import params, see_notice, see_results, see_start

FRONT = Path(__file__).parents[2] / "front"
TAGS = ("de", "fr", "es")
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_CALL = re.compile(rf"\bt\(\s*{_TEXT}")
_COUNT = re.compile(rf"\bcounted\(\s*[^,]+,\s*{_TEXT},\s*{_TEXT}")
_MARKED = re.compile(r'<\w+\b[^>]*\sdata-t="([^"]*)"[^>]*>([^<]*)')
_ENTRY = re.compile(rf"^  {_TEXT}: {_TEXT},$", re.MULTILINE)
_VALUE = re.compile(r"\{\w+\}")


def texts() -> set[str]:
    """Every English text of the page that stands in its files as it is."""
    found: set[str] = set()
    for file in FRONT.glob("*/*.js"):
        source = file.read_text("utf-8")
        found.update(json.loads(f'"{text}"') for text in _CALL.findall(source))
        found.update(text for pair in _COUNT.findall(source) for text in pair)
    pages = "".join((FRONT / name).read_text("utf-8") for name in ("index.html", "status.html"))
    for marked in _MARKED.finditer(pages):
        for what in marked[1].split():
            value = re.search(rf'\s{what}="([^"]*)"', marked[0])
            found.add(marked[2].strip() if value is None else value[1])
    return found


def dictionary(tag: str) -> dict[str, str]:
    entries = _ENTRY.findall((FRONT / "languages" / f"{tag}.js").read_text("utf-8"))
    return {json.loads(f'"{english}"'): json.loads(f'"{text}"') for english, text in entries}


@pytest.mark.parametrize("tag", TAGS)
def test_dictionaries_are_complete(tag: str) -> None:
    known = dictionary(tag)
    assert texts() - set(known) == set()
    assert set(known) == set(dictionary("de"))
    for english, text in known.items():
        assert text.strip()
        assert sorted(_VALUE.findall(text)) == sorted(_VALUE.findall(english)), english


def test_the_browser_chooses_the_language(open_page: OpenPage) -> None:
    page = open_page(locale="de-AT")
    see_start(page)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Bilder finden nach dem, was sie zeigen"
    )
    expect(page.locator("#query")).to_have_attribute("placeholder", "Wörter oder eine Bildadresse")
    expect(page.get_by_role("button", name="Mit einer Skizze suchen")).to_be_visible()


def test_another_language_keeps_the_search(open_page: OpenPage) -> None:
    page = open_page("?q=2%3Aguitar&deduplicate=false")
    see_results(page)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator("#options summary").click()
    page.locator("#language").select_option("fr")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.locator("#status")).to_have_text(re.compile(r"^\d+\+ résultats$"))
    expect(page.get_by_role("link", name="Semblables à guitar", exact=True)).to_have_count(1)
    assert params(page) == {"q": "2:guitar", "deduplicate": "false"}
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "fr")


def test_trouble_is_told_in_the_language(open_page: OpenPage) -> None:
    page = open_page("?query=guitar&filter=id+%3C+0", locale="es-MX")
    see_notice(page, "No se encontró nada")
