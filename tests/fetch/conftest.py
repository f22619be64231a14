"""The server, and what fetches from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search_back.fetch import Fetcher
from tests.fetch.web import OPEN, Server
from tests.serving import running


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    with running(found):
        yield found


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(OPEN)
