"""Draws the pictures of the README: the page of a real server, with the bundled pictures in it.

Run it by ``make screenshots``. Needs Chromium; writes ``docs/images/*.png``.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from search_back.cli.demo import prepare
from search_back.files import write_json
from search_back.models import MODEL_NAME

IMAGES = Path(__file__).parent / "images"
MAX_BYTES = 250_000
WIDE = {"viewport": {"width": 1200, "height": 640}}
PHONE = {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def main() -> None:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        sys.exit("error: no Chromium on PATH; Debian has it in the package chromium")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "demo"
        prepare(home)
        with served(home) as url:
            browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
            draw_all(browser, url, home)
            browser.close()


@contextmanager
def served(home: Path) -> Iterator[str]:
    """``search-back back`` on a free port; its address."""
    paths = home / "indices_paths.json"
    write_json(paths, {MODEL_NAME: str(home / "index")})
    command = [sys.executable, "-m", "search_back.cli", "back", "--port", "0"]
    # What it says goes to a file: a pipe that nobody reads would fill up.
    log = home / "server.log"
    with open(log, "wb") as said:
        command += ["--indices-paths", str(paths)]
        process = subprocess.Popen(command, stderr=said)  # noqa: S603
    try:
        while " at http://" not in log.read_text(encoding="utf-8"):
            if process.poll() is not None:
                sys.exit(f"error: the server stopped:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        yield log.read_text(encoding="utf-8").partition(" at ")[2].split()[0] + "/"
    finally:
        process.terminate()
        process.wait()


def draw_all(browser: Browser, url: str, home: Path) -> None:
    with opened(browser, url, **WIDE) as page:
        expect(page.locator("#examples a").first).to_be_visible()
        draw(page, "start")
    with opened(browser, url + "?query=something+to+drink", **WIDE) as page:
        draw_results(page, "search")
    with opened(browser, url + "?query=musical+instrument", color_scheme="dark", **WIDE) as page:
        draw_results(page, "dark")
    with opened(browser, url + "?query=monkey+and+banana", **PHONE) as page:
        draw_results(page, "phone")
    with opened(browser, url, **WIDE) as page:
        (picture,) = (home / "pictures").glob("emoji_*_red-apple.jpg")
        page.locator("#picture-file").set_input_files(picture)
        draw_results(page, "picture-query")
    with opened(browser, url + "?view=all", **WIDE) as page:
        expect(page.locator("#map canvas")).to_be_visible(timeout=60_000)
        page.wait_for_load_state("networkidle")
        draw(page, "map")
    with opened(browser, url + "status.html", **WIDE) as page:
        expect(page.locator("article").first).to_be_visible()
        for word in ("cat", "flag", "tree", "music", "a red car", "cat"):
            page.request.post(url + "v1/search", data={"query": word, "k": 20})
            page.wait_for_timeout(3_000)  # what it waits between two looks
        draw(page, "status")


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    with browser.new_context(reduced_motion="reduce", **options) as context:
        page = context.new_page()
        page.goto(url)
        yield page


def draw_results(page: Page, name: str) -> None:
    """Draw once every picture in the window is there."""
    expect(page.locator("#results li.card").first).to_be_visible(timeout=30_000)
    page.wait_for_load_state("networkidle")
    page.locator("#results").hover(position={"x": 2, "y": 2})
    draw(page, name)


def draw(page: Page, name: str) -> None:
    path = IMAGES / f"{name}.png"
    drawn = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    # 64 shades a channel: the file is a third smaller, and the eye sees no difference.
    drawn.point(lambda value: round((value >> 2) * 255 / 63)).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size / 1000:.0f} kB")
    if size > MAX_BYTES:
        sys.exit(f"error: {path} has {size} bytes, more than {MAX_BYTES}: draw a smaller window")


if __name__ == "__main__":
    main()
