"""The main path through the page in a browser of another kind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.firefox import ENTER, NAMES, Firefox
from tests.e2e.looking import PAGE_OF_RESULTS
from tests.e2e.running import SearchServer

_INK = """(() => {
  const canvas = document.querySelector("#map canvas");
  if (!canvas || !canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, i) => i % 4 === 3 && value > 0);
})()"""


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        reason = f"no Firefox here: none of {', '.join(NAMES)} is on PATH"
        if os.environ.get("SEARCH_BACK_REQUIRE_BROWSER"):
            pytest.fail(f"{reason}, and SEARCH_BACK_REQUIRE_BROWSER is set")
        pytest.skip(f"{reason}; Debian has it in the package firefox-esr")
    with Firefox(executable, tmp_path_factory.mktemp("firefox") / "profile") as firefox:
        yield firefox


@pytest.fixture
def found(firefox: Firefox, server: SearchServer) -> Firefox:
    """It has searched for words, and shows pictures."""
    firefox.open(server.url)
    firefox.type("#query", f"animal{ENTER}")
    firefox.until("document.querySelectorAll('#results .card.loaded').length >= 8")
    return firefox


def _results(firefox: Firefox) -> int:
    return int(firefox.until("document.querySelectorAll('#results .card').length"))


def test_words_lead_to_pictures(found: Firefox) -> None:
    assert found.until("location.search") == "?query=animal"
    assert found.until("document.querySelector('.card.loaded img').naturalWidth") > 0
    assert found.until("document.querySelector('.card .caption').textContent") == "chipmunk"


def test_the_end_of_the_grid_brings_more(found: Firefox) -> None:
    before = _results(found)
    assert before % PAGE_OF_RESULTS == 0
    found.until(f"""(() => {{
      scrollTo(0, document.documentElement.scrollHeight);
      return document.querySelectorAll("#results .card").length > {before};
    }})()""")
    found.until(f"""(() => {{
      const card = document.querySelectorAll("#results .card")[{before}];
      card.scrollIntoView();
      return card.matches(".loaded:not(.bare)");
    }})()""")


def test_a_result_opens_large(found: Firefox) -> None:
    found.click(".card .tile")
    assert found.until("document.querySelector('dialog[open] .lightbox-frame img')?.naturalWidth")
    found.click("dialog[open] button[aria-label='Close']")
    found.until("!document.querySelector('dialog[open]')")
    assert found.until("document.activeElement === document.querySelector('.card .tile')")


def test_a_filter_narrows_what_is_found(found: Firefox) -> None:
    found.click("#filters-toggle")
    found.until("document.querySelector('#filters .facet input[type=checkbox]')")
    found.click("#filters .facet input[type=checkbox]")
    assert "filter=group" in found.until("location.search.includes('filter') && location.search")
    found.until("document.querySelector('#filters-count').textContent === '1'")
    found.until("document.querySelector('.card.loaded')")


def test_the_map_is_drawn(found: Firefox) -> None:
    found.click("#map-toggle")
    found.until("document.querySelector('#map .map-names button')")
    assert found.until(_INK)
