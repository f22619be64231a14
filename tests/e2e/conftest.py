"""A browser, the bundled pictures as an index, and servers that answer from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from search_back.cli.demo import prepare
from tests.e2e.looking import Watch
from tests.e2e.running import FileHost, SearchServer

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing but this machine can be reached: a page that calls elsewhere fails, and is seen to.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
WAIT_MS = 20_000
# Small enough that the first page of results fills it, and as quick to draw as can be.
WINDOW = {"viewport": {"width": 960, "height": 600}, "reduced_motion": "reduce"}

OpenPage = Callable[..., Page]


# These hold for this folder only: a browser that is left open keeps an event loop running.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = f"no browser here: none of {', '.join(NAMES)} is on PATH"
        if os.environ.get("SEARCH_BACK_REQUIRE_BROWSER"):
            pytest.fail(f"{reason}, and SEARCH_BACK_REQUIRE_BROWSER is set")
        pytest.skip(f"{reason}; Debian has it in the package chromium")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def home(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``search-back demo`` prepares, where there is a browser to see it."""
    folder = tmp_path_factory.mktemp("demo")
    prepare(folder)
    return folder


@pytest.fixture(scope="package")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    """Serves the bundled pictures under two names, as a stranger may use it."""
    folder = tmp_path_factory.mktemp("server") / "two"
    indices = {"emoji": home / "index", "again": home / "index"}
    with SearchServer(folder, indices) as server:
        yield server


@pytest.fixture(scope="package")
def trusting_server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    """Serves one index, and fetches from private addresses too."""
    folder = tmp_path_factory.mktemp("server") / "trusting"
    options = ("--allow-private-addresses", "True")
    with SearchServer(folder, {"emoji": home / "index"}, *options) as server:
        yield server


@pytest.fixture(scope="package")
def pictures_host(home: Path) -> Iterator[FileHost]:
    """The bundled pictures, as some web site has them."""
    with FileHost(home / "pictures") as host:
        yield host


@pytest.fixture
def pizza(home: Path) -> Path:
    """The file of one bundled picture, unlike all others; its caption is "pizza"."""
    (path,) = (home / "pictures").glob("emoji_*_pizza.jpg")
    return path


@pytest.fixture
def watches() -> list[Watch]:
    """The watch over each context that the test opened."""
    return []


@pytest.fixture
def open_page(browser: Browser, server: SearchServer, watches: list[Watch]) -> Iterator[OpenPage]:
    """Opens an address in a fresh context; afterwards the contexts must have behaved.

    ``at``: another origin than the server's. ``also``: origins that may be asked too.
    """
    with ExitStack() as contexts:

        def open_page(
            path: str = "", *, at: str | None = None, also: tuple[str, ...] = (), **options: Any
        ) -> Page:
            base = at or server.url
            context = browser.new_context(base_url=base, **{**WINDOW, **options})
            contexts.callback(context.close)
            context.set_default_timeout(WAIT_MS)
            watches.append(Watch(context, (base, *also)))
            page = context.new_page()
            page.goto(base + path)
            return page

        yield open_page
    for watch in watches:
        watch.check()
