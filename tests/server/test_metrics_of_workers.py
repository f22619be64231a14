"""The metrics of a server of several processes, asked over HTTP."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from tests.conftest import Chain, LiveServer, start_server, wait_for
from tests.metrics.test_shared import samples

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs processes that fork")
KNN = "search_back_requests_total{method=POST,route=/knn-service,status=%d}"
WORKER = "search_back_worker_resident_memory_bytes{worker=%s}"


@pytest.fixture(scope="module")
def server(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    log = tmp_path_factory.mktemp("workers") / "log"
    server = start_server(["--index-folder", str(chain.index), "--workers", "2"], log=log)
    wait_for(lambda: told(server)["search_back_workers"] == 2, log=server.log)
    yield server
    assert server.stop() == 0, server.log.read_text()


def told(server: LiveServer) -> dict[str, float]:
    """What one of the processes says; empty where the one that was asked has just died."""
    with suppress(requests.ConnectionError):
        return samples(requests.get(f"{server.url}/metrics", timeout=20).text)
    return {}


def ask(server: LiveServer, body: str) -> int:
    """Over a connection of its own, so that any of the processes may take it."""
    return requests.post(f"{server.url}/knn-service", data=body, timeout=20).status_code


def children(server: LiveServer) -> set[int]:
    """The processes that answer."""
    number = server.process.pid
    return set(map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split()))


def test_all_processes_are_added_up_whichever_is_asked(server: LiveServer) -> None:
    before = told(server)
    for number in range(30):
        assert ask(server, f'{{"text": "a {number}"}}') == 200
    for _ in range(6):
        assert ask(server, '{"indice_name": "nobody", "text": "a"}') == 404

    for _ in range(8):
        values = told(server)
        assert values[KNN % 200] - before.get(KNN % 200, 0) == 30
        assert values[KNN % 404] - before.get(KNN % 404, 0) == 6
        for name, more in (("full_knn_request_time_count", 36), ("knn_index_time_count", 30)):
            assert values[name] - before[name] == more
        summary = requests.get(f"{server.url}/metrics-summary", timeout=20).text
        assert summary.startswith(f"{values['full_knn_request_time_count']:.0f} calls")


def test_every_process_is_told_of(server: LiveServer, chain: Chain) -> None:
    values = told(server)
    each = [values[WORKER % worker] for worker in ("parent", 1, 2)]
    assert min(each) > 10e6
    assert values["process_resident_memory_bytes"] == sum(each)
    assert values["search_back_index_up{index=index}"] == 1
    assert values["search_back_index_items{index=index,modality=image}"] == len(chain.rows)
    assert values["search_back_index_bytes{index=index}"] > 1000
    assert values["search_back_connections"] >= 1
    assert values["process_cpu_seconds_total"] > 0


def test_a_reload_is_counted_in_each_process(server: LiveServer) -> None:
    name = "search_back_index_reloads_total{index=index,outcome=%s}"
    before = told(server)
    assert requests.post(f"{server.url}/admin/reload", timeout=60).status_code == 200
    values = told(server)
    assert values[name % "ok"] - before[name % "ok"] == 2
    assert values[name % "failed"] == before[name % "failed"] == 0


def test_counts_never_fall_where_a_process_is_killed(server: LiveServer) -> None:
    before = told(server)
    for number in range(20):
        assert ask(server, f'{{"text": "b {number}"}}') == 200
    seen = [told(server)]
    killed = max(children(server))
    os.kill(killed, signal.SIGKILL)

    def replaced() -> bool:
        if values := told(server):
            seen.append(values)
        there = children(server)
        return len(there) == 2 and killed not in there

    wait_for(replaced, log=server.log)
    wait_for(lambda: told(server).get("search_back_workers") == 2, log=server.log)
    for number in range(20):
        assert ask(server, f'{{"text": "c {number}"}}') == 200
    seen.append(told(server))

    assert seen[-1][KNN % 200] - before.get(KNN % 200, 0) == 40
    counts = [name for name in seen[0] if re.search("_(total|count|bucket)($|{)", name)]
    assert len(counts) > 100
    for earlier, later in pairwise(seen):
        for name in counts:
            assert later[name] >= earlier[name], name
