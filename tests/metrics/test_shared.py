"""Metrics of several processes: added up by whichever is asked, and never less than before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from search_back.metrics import leave_seat

# A process that has imported the metrics before it is told to share them, as after a fork.
PROCESS = """
import json, os, signal, sys
import prometheus_client
from pathlib import Path
from search_back.metrics import IndexState, Metrics, Shared

folder, seat, what = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
metrics = Metrics(Shared(folder, seat), pids=lambda: {str(seat): os.getpid()})
metrics.watched.server(waiting=lambda: what["waiting"], connections=lambda: 1)
metrics.watched.indices(
    lambda: [IndexState(name, up, items={"image": 7}, size=9) for name, up in what["up"].items()]
)
for number in range(what["requests"]):
    metrics.count_request("/a", method="GET", status=200, seconds=1.0)
    with metrics.timer("dedup_time"):
        pass
metrics.watched.refresh()
what["up"].pop("gone", None)
sys.stdout.write(json.dumps([metrics.exposition()[0].decode(), metrics.summary()]))
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(
    folder: Path,
    seat: int,
    *,
    requests: int = 0,
    waiting: int = 0,
    up: dict[str, bool | None] | None = None,
) -> tuple[dict[str, float], str]:
    """What a process tells at its end, which is a violent one; and its summary."""
    what = json.dumps({"requests": requests, "waiting": waiting, "up": up or {}})
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(folder), str(seat), what],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    text, summary = json.loads(done.stdout)
    return samples(text), summary


def samples(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found, f"{name} is told twice"
            found[name] = sample.value
    return found


pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


def test_counts_of_processes_are_added_up(tmp_path: Path) -> None:
    run(tmp_path, 1, requests=3)
    values, summary = run(tmp_path, 2, requests=4)
    assert values["search_back_requests_total{method=GET,route=/a,status=200}"] == 7
    assert values["search_back_request_seconds_sum{route=/a}"] == 7
    assert values["search_back_request_seconds_bucket{le=0.5,route=/a}"] == 0
    assert values["search_back_request_seconds_bucket{le=1.0,route=/a}"] == 7
    assert values["dedup_time_count"] == 7
    (line,) = (line for line in summary.splitlines() if line.startswith("dedup_time"))
    assert line.split()[1] == "7"


def test_who_takes_the_seat_of_one_that_died_counts_on(tmp_path: Path) -> None:
    run(tmp_path, 1, requests=3)
    leave_seat(tmp_path, 1)
    files = len(list(tmp_path.glob("counter_*.db")))
    values, _ = run(tmp_path, 1, requests=2)
    assert values["search_back_requests_total{method=GET,route=/a,status=200}"] == 5
    assert len(list(tmp_path.glob("counter_*.db"))) == files


def test_gauges_of_one_that_died_are_forgotten(tmp_path: Path) -> None:
    run(tmp_path, 1, waiting=5)
    values, _ = run(tmp_path, 2, waiting=2)
    assert values["search_back_requests_waiting"] == 7
    leave_seat(tmp_path, 1)
    values, _ = run(tmp_path, 2, waiting=2)
    assert values["search_back_requests_waiting"] == 2


def test_an_index_is_up_where_it_is_in_every_process(tmp_path: Path) -> None:
    run(tmp_path, 1, up={"one": True, "two": False, "lazy": None})
    values, _ = run(tmp_path, 2, up={"one": True, "two": True, "lazy": None})
    assert values["search_back_index_up{index=one}"] == 1
    assert values["search_back_index_up{index=two}"] == 0
    assert "search_back_index_up{index=lazy}" not in values
    assert values["search_back_index_items{index=one,modality=image}"] == 7
    assert values["search_back_index_bytes{index=one}"] == 9
    assert "search_back_index_items{index=one,modality=text}" not in values


def test_an_index_that_is_served_no_more_is_told_no_more(tmp_path: Path) -> None:
    values, _ = run(tmp_path, 1, up={"stays": True, "gone": True})
    assert named(values, "stays")
    assert not named(values, "gone")


def named(values: Iterable[str], index: str) -> list[str]:
    return [name for name in values if f"index={index}" in name]


def test_every_metric_has_its_help_and_its_type(tmp_path: Path) -> None:
    run(tmp_path, 1, requests=1)
    values, _ = run(tmp_path, 2)
    assert values["search_back_requests_refused_total{reason=overloaded}"] == 0
    assert values["process_cpu_seconds_total"] > 0


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_files_have_their_room_from_the_start_and_need_no_more(tmp_path: Path) -> None:
    run(tmp_path, 1, requests=1, up={"a": True})
    files = list(tmp_path.glob("*.db"))
    assert len(files) == 5
    for file in files:
        assert file.stat().st_size == 2**20
        assert file.stat().st_blocks * 512 >= 2**20, f"{file.name} has holes"


def test_a_file_that_has_just_been_made_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "counter_9.db").touch()
    values, _ = run(tmp_path, 1, requests=1)
    assert values["search_back_requests_total{method=GET,route=/a,status=200}"] == 1
