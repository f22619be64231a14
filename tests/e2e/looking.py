"""What the tests look at: the page's parts by their hooks, and what a browser does behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    expect,
)

PAGE_OF_RESULTS = 60
FOUND = re.compile(r"^[\d,]+\+? results?")


class Watch:
    """Everything a browser's context did that no page should do."""

    def __init__(self, context: BrowserContext, origins: Iterable[str]) -> None:
        self._origins = {origin_of(url) for url in origins}
        self._forgiven: list[re.Pattern[str]] = []
        self._errors: list[str] = []
        self._elsewhere: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", lambda error: self._errors.append(str(error.error)))
        context.on("request", lambda request: self._ask(request.url))

    def forgive(self, pattern: str) -> None:
        """Errors that this test is about, by what they say."""
        self._forgiven.append(re.compile(pattern))

    def check(self) -> None:
        errors = [e for e in self._errors if not any(f.search(e) for f in self._forgiven)]
        assert not errors, f"the page reported errors: {errors}"
        assert not self._elsewhere, f"the page asked other origins: {self._elsewhere}"

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._errors.append(f"{message.text} [{message.location['url']}]")

    def _ask(self, url: str) -> None:
        if urlsplit(url).scheme in ("http", "https") and origin_of(url) not in self._origins:
            self._elsewhere.append(url)


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def params(page: Page) -> dict[str, str]:
    """The state that the address bar holds."""
    return {
        name: values[0]
        for name, values in parse_qs(str(page.evaluate("location.search.slice(1)"))).items()
    }


def is_call_to(route: str, response: Response) -> bool:
    return response.request.method == "POST" and urlsplit(response.url).path.endswith(route)


def cards(page: Page) -> Locator:
    return page.locator("#results li.card")


def sent(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries."""
    body = request.post_data_json
    assert isinstance(body, dict)
    return body


def see_results(page: Page) -> Locator:
    """Wait for an answer with at least one picture drawn; its cards."""
    expect(page.locator("body")).to_have_attribute("data-view", "results")
    expect(page.locator("#status")).to_have_text(FOUND)
    expect(page.locator("#notice")).to_be_empty()
    expect(cards(page).first).to_have_class(re.compile(r"\bloaded\b"))
    return cards(page)


def see_start(page: Page) -> None:
    expect(page.locator("body")).to_have_attribute("data-view", "start")
    expect(page.locator("#examples a").first).to_be_visible()


def see_notice(page: Page, words: str | re.Pattern[str]) -> Locator:
    """Wait for a message in words; the message."""
    notice = page.locator("#notice")
    expect(notice).to_contain_text(words)
    expect(notice).to_have_role("alert")
    expect(cards(page)).to_have_count(0)
    return notice


def ids(page: Page) -> list[str]:
    """The items on the page, in their order."""
    found = cards(page).evaluate_all("cards => cards.map((card) => card.dataset.id)")
    return [str(id_) for id_ in found]


def search_words(page: Page, words: str) -> Locator:
    page.locator("#query").fill(words)
    page.locator("#query").press("Enter")
    expect(page).to_have_title(f"{words} · search_back")
    return see_results(page)


def overflow(page: Page) -> int:
    """How many pixels the page is wider than the window."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return max(0, int(wide))
