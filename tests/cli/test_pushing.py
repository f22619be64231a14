"""Figures of a run, pushed to an HTTP server that stands for a Pushgateway."""

from __future__ import annotations

import base64
import math
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from search_back.cli import main
from search_back.cli.pushing import Gateway, Pushing, parse_gateway
from search_back.errors import ConfigError
from search_back.inference.report import Silent
from tests.fakes import picture_bytes
from tests.inference.conftest import write_files
from tests.serving import running

PREFIX = "search_back_inference_"
HOUR = 3600.0


class Push(NamedTuple):
    """A request; ``figures``: by the name of the sample, without what all begin with."""

    method: str
    path: str
    login: str | None
    figures: dict[str, float]


class Server(ThreadingHTTPServer):
    """Keeps what it gets; ``status``: what it answers; ``held``: it answers when that is set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pushes: queue.Queue[Push] = queue.Queue()
        self.status = 200
        self.held = threading.Event()
        self.held.set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        figures = {
            sample.name.removeprefix(PREFIX): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }
        login = self.headers["Authorization"]
        self.server.pushes.put(Push(self.command, self.path, login, figures))
        self.server.held.wait(10)
        self.send_response(self.server.status)
        self.send_header("Location", f"http://{self.server.address}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    found = Server()
    with running(found):
        yield found
        found.held.set()


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.calls: list[object] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)

    def resumed(self, done: int) -> None:
        self.calls.append(done)

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        self.calls.append((done, total, failures))


def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def clock(*times: float) -> Callable[[], float]:
    several = iter(times)
    return lambda: next(several)


def test_the_last_push_says_how_it_ended(server: Server, tmp_path: Path) -> None:
    shown = Notes()
    pushing = Pushing(
        Gateway(f"http://{server.address}"),
        tmp_path / "my pictures",
        shown,
        every_s=HOUR,
        clock=clock(0, 10, 14),
    )
    with pushing:
        pushing.resumed(20)
        pushing.note("hello")
        pushing.update(done=30, total=100, failures=1)
        pushing.update(done=60, total=100, failures=3)
    push = server.pushes.get_nowait()
    name = base64.urlsafe_b64encode(b"my pictures").decode()
    assert push.method == "POST" and push.login is None
    assert push.path == f"/metrics/job/search_back_inference/output_folder@base64/{name}"
    finished = push.figures.pop("finished_timestamp_seconds")
    assert finished > 1e9
    assert push.figures == {
        **{"items_total": 60, "failures_total": 3, "items_expected": 100},
        "items_per_second": 10,
    }
    assert server.pushes.empty()
    assert shown.calls == [20, (30, 100, 1), (60, 100, 3)] and shown.said == ["hello"]


def test_figures_come_while_the_run_is_on(server: Server, tmp_path: Path) -> None:
    pushing = Pushing(Gateway(f"http://{server.address}"), tmp_path, Silent(), every_s=0.01)
    with pushing:
        assert server.pushes.get(timeout=10).figures == {}
        pushing.update(done=3, total=None, failures=0)
        while not (push := server.pushes.get(timeout=10)).figures:
            pass
        assert push.figures["items_total"] == 3
        assert math.isnan(push.figures["items_expected"])
        assert "finished_timestamp_seconds" not in push.figures
    pushes = list(server.pushes.queue)
    assert "finished_timestamp_seconds" in pushes[-1].figures


def test_a_run_that_failed_has_not_finished(server: Server, tmp_path: Path) -> None:
    pushing = Pushing(Gateway(f"http://{server.address}"), tmp_path, Silent(), every_s=HOUR)
    with pytest.raises(KeyboardInterrupt), pushing:
        pushing.update(done=3, total=9, failures=0)
        raise KeyboardInterrupt
    figures = server.pushes.get_nowait().figures
    assert figures["items_total"] == 3 and "finished_timestamp_seconds" not in figures


def test_a_run_that_had_nothing_to_do_leaves_the_figures_of_the_last(
    server: Server, tmp_path: Path
) -> None:
    with Pushing(Gateway(f"http://{server.address}"), tmp_path, Silent(), every_s=HOUR):
        pass
    assert list(server.pushes.get_nowait().figures) == ["finished_timestamp_seconds"]


def test_a_gateway_that_is_away_is_told_once(tmp_path: Path) -> None:
    shown = Notes()
    pushing = Pushing(
        Gateway(f"http://{closed_port()}", ("me", "secret")), tmp_path, shown, every_s=0.001
    )
    with pushing:
        while not shown.said:
            pushing.update(done=1, total=None, failures=0)
        pushing.update(done=2, total=None, failures=0)
    (said,) = shown.said
    assert said == pushing.problem and "nothing answers there" in said and "secret" not in said


@pytest.mark.parametrize("status", [302, 401, 500])
def test_an_answer_that_is_no_success_is_told(status: int, server: Server, tmp_path: Path) -> None:
    server.status = status
    shown = Notes()
    gateway = Gateway(f"http://{server.address}", ("me", "secret"))
    with Pushing(gateway, tmp_path, shown, every_s=HOUR):
        pass
    (said,) = shown.said
    assert f"it answers {status}" in said and "secret" not in said
    server.pushes.get_nowait()
    assert server.pushes.empty(), "a redirect was followed"


def test_a_gateway_that_hangs_holds_nobody_up(server: Server, tmp_path: Path) -> None:
    server.held.clear()
    shown = Notes()
    pushing = Pushing(
        Gateway(f"http://{server.address}"), tmp_path, shown, every_s=0.001, last_s=0.05
    )
    with pushing:
        server.pushes.get(timeout=10)
        pushing.update(done=1, total=1, failures=0)
    assert len(shown.said) == 1 and "does not answer" in shown.said[0]


def test_a_login_may_be_of_any_letters(server: Server, tmp_path: Path) -> None:
    gateway = parse_gateway(f"http://zoë:p%C4%85ss€@{server.address}")
    with Pushing(gateway, tmp_path, Silent(), every_s=HOUR):
        pass
    login = base64.b64encode("zoë:pąss€".encode()).decode()
    assert server.pushes.get_nowait().login == f"Basic {login}"


@pytest.mark.parametrize(
    ("url", "address", "login"),
    [
        ("http://host:9091", "http://host:9091", None),
        ("host:9091", "http://host:9091", None),
        ("https://host/push/", "https://host/push", None),
        ("http://me:se%40cret@host", "http://host", ("me", "se@cret")),
        ("me:secret@host:1", "http://host:1", ("me", "secret")),
        ("http://me@[::1]:9091", "http://[::1]:9091", ("me", "")),
    ],
)
def test_a_login_is_kept_apart(url: str, address: str, login: tuple[str, str] | None) -> None:
    gateway = parse_gateway(url)
    assert (gateway.address, gateway.login) == (address, login)
    assert "se" not in repr(gateway)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://me:secret@host", "http://me:secret@host:port", "http://me:secret@", "http://[x"],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ConfigError, match="--push-metrics") as caught:
        parse_gateway(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("progress", ["bar", "json", "none"])
def test_the_command_pushes(progress: str, server: Server, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"{i}.png": picture_bytes("red") for i in range(3)}
    folder = write_files(tmp_path / "in", {**files, "3.png": b"?"})
    arguments = ["inference", "--clip-model", "emoji", "--progress", progress]
    arguments += ["--input-dataset", str(folder), "--output-folder", str(tmp_path / "out")]
    away = CliRunner().invoke(main, [*arguments, "--push-metrics", f"me:secret@{closed_port()}"])
    assert away.exit_code == 0 and "secret" not in away.output
    assert away.output.count("metrics cannot be pushed") == 1
    arguments += ["--overwrite", "--batch-size", "2"]
    done = CliRunner().invoke(main, [*arguments, "--push-metrics", f"me:secret@{server.address}"])
    assert done.exit_code == 0 and "metrics" not in done.output
    push = server.pushes.get_nowait()
    assert push.path == "/metrics/job/search_back_inference/output_folder/out"
    assert push.login == "Basic " + base64.b64encode(b"me:secret").decode()
    assert (push.figures["items_total"], push.figures["failures_total"]) == (4, 1)
    assert push.figures["items_expected"] == 4 and push.figures["items_per_second"] > 0
    assert push.figures["finished_timestamp_seconds"] > 1e9


def test_a_wrong_address_stops_the_command_at_once(tmp_path: Path) -> None:
    arguments = ["inference", "--input-dataset", str(tmp_path), "--output-folder", "x"]
    result = CliRunner().invoke(main, [*arguments, "--push-metrics", "ftp://me:secret@host"])
    assert result.exit_code == 2 and "secret" not in result.output
