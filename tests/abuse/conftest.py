"""Servers to be rough with, and clients that keep asking meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Chain, LiveServer, start_server, wait_for
from tests.folders import unit_rows, write_folder

PATIENCE_S = 60


@dataclass
class Asker:
    """A client that asks again and again, over one kept connection, and notes what it got."""

    url: str
    body: Any
    statuses: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    told_to_go: bool = False

    def once(self, session: requests.Session) -> None:
        try:
            answer = session.post(f"{self.url}/v1/search", json=self.body, timeout=PATIENCE_S)
        except requests.RequestException as error:
            self.broken.append(repr(error))
        else:
            self.statuses.append(answer.status_code)
            self.told_to_go |= answer.headers.get("Connection") == "close"


@contextmanager
def asking(url: str, body: Any, *, clients: int = 1) -> Iterator[list[Asker]]:
    """Clients that ask for as long as the block runs, once at least."""
    stop = threading.Event()
    askers = [Asker(url, body) for _ in range(clients)]

    def run(asker: Asker) -> None:
        with requests.Session() as session:
            asker.once(session)
            while not stop.is_set():
                asker.once(session)

    threads = [threading.Thread(target=run, args=(asker,)) for asker in askers]
    for thread in threads:
        thread.start()
    try:
        yield askers
    finally:
        stop.set()
        for thread in threads:
            thread.join(2 * PATIENCE_S)


def processes(server: LiveServer) -> list[int]:
    """The processes that serve."""
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_warm(url: str) -> bool:
    answer = requests.get(f"{url}/ready", timeout=PATIENCE_S)
    return bool(answer.json()["warm"])


@pytest.fixture
def two(tmp_path: Path, chain: Chain) -> Iterator[tuple[LiveServer, Path]]:
    """Two processes that serve the small index and another of 200 rows; its folder."""
    other = write_folder(tmp_path / "other", unit_rows(200))
    paths = tmp_path / "indices_paths.json"
    # Not its encoder, which nobody looks for in a model hub then.
    second = {"indice_folder": str(other), "clip_model": "emoji"}
    paths.write_text(json.dumps({"emoji": str(chain.index), "other": second}))
    log = tmp_path / "log"
    server = start_server(
        [
            *("--indices-paths", str(paths), "--workers", "2", "--encoder-threads", "1"),
            *("--max-connections", "400", "--stop-timeout-s", "20"),
        ],
        log=log,
    )
    try:
        wait_for(lambda: len(processes(server)) == 2, or_dead=server.process, log=log)
        wait_for(lambda: all(is_warm(server.url) for _ in range(8)), log=log)
        yield server, other
    finally:
        if server.process.poll() is None:
            server.stop(within_s=PATIENCE_S)
    assert "Traceback" not in log.read_text(), log.read_text()
