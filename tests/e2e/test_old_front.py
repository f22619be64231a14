"""The page that clip-retrieval 2.45.0 ships, at an origin of its own, before this server."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.looking import Watch, is_call_to
from tests.e2e.running import FileHost, SearchServer

ROOT = Path(__file__).parents[2]
WHEEL = "clip_retrieval-2.45.0-py3-none-any.whl"
_INLINE = re.compile(r"^data:image/")
SHA256 = "07f52947727b75fa0b22f0f938f352c90ea0f4fa3d4c0b2e3d284a42c1a497e4"


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The release as it was published; kept in ``build/``."""
    folder = ROOT / "build" / "peer"
    path = folder / WHEEL
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", str(folder), "clip-retrieval==2.45.0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(
                f"{WHEEL} is neither in {folder} nor to be downloaded: {done.stderr[-300:]}"
            )
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    return path


@pytest.fixture(scope="module")
def old_front(
    wheel: Path, server: SearchServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FileHost]:
    """Its settings name our server the way people write it: with a slash at the end."""
    folder = tmp_path_factory.mktemp("old_front")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("front/build/"):
                archive.extract(name, folder)
    build = folder / "front" / "build"
    settings = {"defaultBackend": server.url, "defaultIndex": "emoji"}
    (build / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    with FileHost(build) as host:
        yield host


@pytest.fixture
def open_old(
    open_page: OpenPage, old_front: FileHost, server: SearchServer, watches: list[Watch]
) -> Callable[[str], Page]:
    def open_old(path: str) -> Page:
        page = open_page(path, at=old_front.url, also=(server.url,))
        # The release asks for a file that it lacks, and has no icon.
        watches[-1].forgive(r"/vendor/webcomponents-loader\.js|/favicon\.ico")
        return page

    return open_old


@pytest.mark.parametrize("backend", ["named in the address", "named in config.json"])
def test_words(open_old: Callable[[str], Page], server: SearchServer, backend: str) -> None:
    path = "?index=emoji&query=guitar&useMclip=false"
    if backend == "named in the address":
        path += f"&back={server.url}"
    page = open_old(path)
    _see_pictures(page)
    expect(page.locator("#products figcaption").first).not_to_be_empty()


def test_typing(open_old: Callable[[str], Page], server: SearchServer) -> None:
    page = open_old(f"?back={server.url}&index=again")
    box = page.locator("#searchBar")
    box.fill("guitar")
    with page.expect_response(lambda r: is_call_to("//knn-service", r)) as asked:
        box.press("Enter")
    assert asked.value.ok
    assert asked.value.request.headers["content-type"].startswith("text/plain")
    _see_pictures(page)


def test_picture(open_old: Callable[[str], Page], server: SearchServer, pizza: Path) -> None:
    page = open_old(f"?back={server.url}&index=emoji")
    page.locator("#filechooser").set_input_files(pizza)
    _see_pictures(page)
    expect(page.locator("#products figcaption").first).to_have_text("pizza")


def test_scrolling(open_old: Callable[[str], Page], server: SearchServer) -> None:
    page = open_old(f"?back={server.url}&index=emoji")
    page.get_by_label("Hide (near) duplicate images").uncheck()
    page.locator("#searchBar").fill("guitar")
    page.locator("#searchBar").press("Enter")
    _see_pictures(page)
    with page.expect_response(lambda r: is_call_to("//metadata", r)) as asked:
        page.mouse.wheel(0, 20_000)
    rows = asked.value.json()
    assert len(rows) == 40
    assert all(row["metadata"]["caption"] and row["metadata"]["image"] for row in rows)
    expect(page.locator("#products figure").nth(79)).to_be_attached()


def _see_pictures(page: Page) -> Locator:
    """Wait until the first results are drawn; their pictures."""
    pictures = page.locator("#products img.pic")
    first = pictures.first
    expect(first).to_have_attribute("src", _INLINE)
    expect(first).to_have_js_property("complete", True)
    assert first.evaluate("(img) => img.naturalWidth") > 0
    return pictures
