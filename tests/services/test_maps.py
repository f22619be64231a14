"""Maps are drawn one at a time, and no more wait than may."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from search_back import deadlines
from search_back.config import IndexOptions, ServerSettings
from search_back.errors import DeadlineExceeded, Overloaded
from search_back.layout import Map, MapQuery, lay_out
from search_back.services import IndexService, Maps, Services
from search_back.services.maps import KEPT, WAITING
from tests.folders import unit_rows, write_folder

WAIT_S = 30


class Pen:
    """Draws when it may; how many drew at once, and what was drawn."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.began = threading.Semaphore(0)
        self.drawn: list[int] = []
        self._one = threading.Lock()

    def __call__(self, snapshot: Any, query: MapQuery) -> Map:
        assert self._one.acquire(blocking=False), "two maps are drawn at once"
        try:
            self.began.release()
            assert self.may.wait(WAIT_S)
            self.drawn.append(query.sample)
            return lay_out(snapshot, query)
        finally:
            self._one.release()


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Pen:
    pen = Pen()
    monkeypatch.setattr("search_back.services.maps.lay_out", pen)
    return pen


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexService]:
    folder = write_folder(tmp_path / "index", unit_rows(9))
    services = Services(ServerSettings(indices={"things": IndexOptions(folder)}))
    yield services.index("things")
    services.close()


@contextmanager
def busy(maps: Maps, index: IndexService, pen: Pen) -> Iterator[ThreadPoolExecutor]:
    """One map under way, until the block ends."""
    with ThreadPoolExecutor(WAITING + 2) as pool:
        first = pool.submit(maps.lay_out, index, MapQuery(sample=1))
        assert pen.began.acquire(timeout=WAIT_S)
        try:
            yield pool
        finally:
            pen.may.set()
            assert first.result(WAIT_S).total == 9


def test_those_past_the_waiting_are_refused(index: IndexService, pen: Pen) -> None:
    maps = Maps()
    with busy(maps, index, pen) as pool:
        others = [
            pool.submit(maps.lay_out, index, MapQuery(sample=n)) for n in range(2, 3 + WAITING)
        ]
        refused = next(as_completed(others, WAIT_S))
        with pytest.raises(Overloaded) as caught:
            refused.result()
        assert caught.value.retry_after_s > 0
    assert len(pen.drawn) == 1 + WAITING


def test_who_waits_is_given_up_in_time(index: IndexService, pen: Pen) -> None:
    maps = Maps()
    with (
        busy(maps, index, pen),
        deadlines.deadline(time.monotonic() + 0.01),
        pytest.raises(DeadlineExceeded, match="the map was begun"),
    ):
        maps.lay_out(index, MapQuery(sample=2))
    assert pen.drawn == [1]
    assert len(maps.lay_out(index, MapQuery(sample=3)).ids) == 3


def test_the_last_ones_are_kept(index: IndexService, pen: Pen) -> None:
    pen.may.set()
    maps = Maps()
    first = maps.lay_out(index, MapQuery(ids=(0,)))
    assert maps.lay_out(index, MapQuery(ids=(0,))) is first
    for n in range(1, 1 + KEPT):
        maps.lay_out(index, MapQuery(sample=n))
    assert maps.lay_out(index, MapQuery(ids=(0,))) is not first
