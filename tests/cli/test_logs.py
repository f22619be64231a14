"""The log, for people and for programs."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from search_back.cli.logs import JsonFormatter
from tests.conftest import LiveServer, start_server
from tests.folders import unit_rows, write_folder

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def record(**more: Any) -> logging.LogRecord:
    found = logging.makeLogRecord(
        {"name": "a.b", "levelno": 30, "levelname": "WARNING", "created": 1_700_000_000.25}
    )
    found.__dict__.update(more)
    return found


def test_a_record_is_one_object_on_one_line() -> None:
    line = JsonFormatter().format(record(msg="two\nlines of %s", args=("Zoë",)))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "a.b",
        "message": "two\nlines of Zoë",
    }


def test_a_record_has_the_request_and_fields_of_its_own() -> None:
    line = JsonFormatter().format(record(request_id="r1", fields={"bytes": 3, "at": Path("x")}))
    found = json.loads(line)
    assert (found["request_id"], found["bytes"], found["at"]) == ("r1", 3, "x")


def test_an_exception_has_its_traceback() -> None:
    try:
        raise ValueError("no good")
    except ValueError:
        line = JsonFormatter().format(record(exc_info=sys.exc_info()))
    exception = json.loads(line)["exception"]
    assert exception.startswith("Traceback ")
    assert exception.endswith("ValueError: no good")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "search_back.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_error_that_ends_a_command_is_a_record_too(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere.json")
    told = run("--log-format", "json", "back", "--port", "0", "--indices-paths", nowhere)
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert json.loads(line)["level"] == "error"
    assert nowhere in json.loads(line)["message"]

    plain = run("back", "--port", "0", "--indices-paths", nowhere)
    assert plain.stderr == f"error: {json.loads(line)['message']}\n"


def test_what_nobody_caught_is_a_record_too() -> None:
    code = (
        "import threading; from search_back.cli.logs import set_up; "
        "set_up('json', verbose=False); "
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join(); "
        "raise OSError('so')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    ends = [json.loads(line)["exception"].splitlines()[-1] for line in done.stderr.splitlines()]
    assert ends == ["ZeroDivisionError: division by zero", "OSError: so"]
    assert done.returncode == 1


@pytest.fixture(params=["gunicorn", "waitress"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LiveServer]:
    monkeypatch.setenv("SEARCH_BACK_LOG_FORMAT", "json")
    folder = write_folder(tmp_path / "index", unit_rows(5))
    arguments = ["--index-folder", str(folder), "--server", request.param, "--access-log"]
    server = start_server([*arguments, "--clip-model", "emoji"], log=tmp_path / "log")
    yield server
    if server.process.poll() is None:
        server.stop()


def test_every_line_of_a_server_is_an_object(server: LiveServer) -> None:
    headers = {"X-Request-Id": "mine-1"}
    body = json.dumps({"embedding_input": [1.0] * 9})
    requests.post(f"{server.url}//knn-service", data=body, headers=headers, timeout=20)
    (server.log.parent / "index/image.index").write_bytes(b"no index")
    requests.post(f"{server.url}/admin/reload", headers={"X-Request-Id": "mine-2"}, timeout=60)
    assert server.stop(signal.SIGTERM) == 0

    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    for line in lines:
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert RFC_3339.fullmatch(line["time"])
    (served,) = (line for line in lines if "serving index at" in line["message"])
    assert served["message"].endswith(server.url)
    accesses = [line for line in lines if line["logger"] == "search_back.access"]
    assert [line["request_id"] for line in accesses] == ["mine-1", "mine-2"]
    knn = accesses[0]
    assert (knn["method"], knn["route"], knn["status"]) == ("POST", "/knn-service", 400)
    assert knn["milliseconds"] > 0
    assert knn["bytes"] > 20
    assert knn["address"] == "127.0.0.1"
    assert [line["logger"] for line in lines if line["level"] == "warning"]


def test_lines_for_people_stay_as_they_are_and_accesses_are_asked_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "index", unit_rows(5))
    arguments = ["--index-folder", str(folder), "--server", "waitress", "--clip-model", "emoji"]
    server = start_server(arguments, log=tmp_path / "log")
    requests.get(f"{server.url}/health", timeout=20)
    assert server.stop() == 0
    lines = server.log.read_text().splitlines()
    assert f"serving index at {server.url}" in lines
    assert not any("access" in line for line in lines)
    opened = next(line for line in lines if "is open" in line)
    assert re.match(r"\d\d:\d\d:\d\d INFO search_back\.services\.index: index 'index' is", opened)
