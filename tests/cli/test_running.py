"""The server as a process: starting, answering many at once, stopping."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import Chain, LiveServer, start_server, wait_for
from tests.folders import unit_rows, write_folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["gunicorn", "waitress"])
def test_a_signal_stops_it_at_once_and_without_error(
    tmp_path: Path, number: signal.Signals, kind: str
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(5))
    log = tmp_path / "log"
    arguments = ["--index-folder", str(folder), "--clip-model", "emoji", "--server", kind]
    server = start_server(arguments, log=log)
    began = time.monotonic()
    assert server.stop(number) == 0, log.read_text()
    assert time.monotonic() - began < 5
    assert "Traceback" not in log.read_text()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)


def test_likewise_while_an_answer_is_under_way(chain: Chain, tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = start_server(
        [
            *("--index-folder", str(chain.index), "--allow-private-addresses"),
            *("--stop-timeout-s", "1"),
        ],
        log=log,
    )
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        body = json.dumps({"image_url": f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"})
        parts = urlsplit(server.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        connection.request("POST", "/knn-service", body)
        silent.settimeout(30)
        asked, _ = silent.accept()
        with asked, closing(connection):  # the server waits for this address to answer
            began = time.monotonic()
            assert server.stop() == 0, log.read_text()
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_a_signal_while_it_loads_stops_it_too(tmp_path: Path, server: str) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(5))
    log = tmp_path / "log"
    # A name that never answers stands for whatever loading may wait for.
    code = (
        "import threading, search_back.server.serve as s, search_back.server.workers as w\n"
        "def load(settings, **rest):\n"
        "    print('loading', flush=True); threading.Event().wait()\n"
        "s.Services = w.Services = load\n"
        "from search_back.cli import main\n"
        f"main(['back', '--index-folder', {str(folder)!r}, '--port', '0', '--server', {server!r}])"
    )
    with open(log, "wb") as output:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=output, stderr=output)
    wait_for(lambda: "loading" in log.read_text(), or_dead=process, log=log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_thirty_two_at_once_get_what_one_alone_gets(live: LiveServer, chain: Chain) -> None:
    def ask(number: int) -> object:
        kind, which = number % 4, number % 7
        if kind == 0:
            body = {"embedding_input": chain.vectors("image")[which].tolist(), "num_images": 3}
        elif kind == 1:
            body = {"text": chain.rows[which]["caption"], "deduplicate": True}
        elif kind == 2:
            return requests.post(
                f"{live.url}/metadata", json={"ids": list(range(which, which + 10))}, timeout=60
            ).json()
        else:
            answer = requests.get(f"{live.url}/indices/index/thumbnails/{which}", timeout=60)
            return answer.status_code, answer.content
        return requests.post(f"{live.url}/knn-service", json=body, timeout=60).json()

    numbers = range(28)
    alone = [ask(number) for number in numbers]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(ask, [*numbers] * 4))
    assert together == alone * 4


@pytest.fixture
def raw(live: LiveServer) -> Iterator[socket.socket]:
    parts = urlsplit(live.url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=20) as plain:
        yield plain


def said(plain: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(plain)
    response.begin()
    return response


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", 431),
        (b"POST /knn-service HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /knn-service HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"POST /knn-service HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 501),
    ],
)
def test_what_cannot_be_read_is_answered_in_json(
    raw: socket.socket, request_: bytes, status: int
) -> None:
    raw.sendall(request_)
    response = said(raw)
    assert response.status == status
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.read())["message"]


def test_a_body_in_chunks(live: LiveServer) -> None:
    parts = iter([b'{"text": ', b'"cat", ', b'"num_images": 1}'])
    answer = requests.post(f"{live.url}/knn-service", data=parts, timeout=60)
    assert len(answer.json()) == 1


def test_a_body_past_the_limit_can_read_why(live: LiveServer) -> None:
    body = b"x" * (33 * 2**20)
    answer = requests.post(f"{live.url}/knn-service", data=body, timeout=120)
    assert answer.status_code == 413
    assert "max_body_bytes is 33554432" in answer.json()["message"]


def test_clients_that_leave_early_do_no_harm(live: LiveServer) -> None:
    parts = urlsplit(live.url)

    def leave() -> None:
        with socket.create_connection((str(parts.hostname), parts.port or 80)) as plain:
            plain.sendall(
                b'POST /knn-service HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"te'
            )

    threads = [threading.Thread(target=leave) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert requests.get(f"{live.url}/indices-list", timeout=30).json() == ["index"]


def test_a_model_that_nobody_knows_stops_the_start_in_one_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(5))
    options = ["--port", "0", "--index-folder", str(folder), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "search_back.cli", "back", *options, "--clip-model", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no model of that name (got: nonsense)")
    assert "Traceback" not in done.stderr
