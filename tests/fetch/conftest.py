"""The server, and what fetches from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from search_back.fetch import Fetcher
from tests.fetch.web import OPEN, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(OPEN)
