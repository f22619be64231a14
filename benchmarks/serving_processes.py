"""Our server and clip-retrieval's, each in processes of its own; their time, memory and answers."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peer_inference import MODULE, START, cpu_of_session
from serving_folders import NAME, Folders

PATIENCE_S = 180.0
MEMORY = {
    "Rss": "rss_mb",
    "Pss": "pss_mb",
    "Private_Clean": "private_clean_mb",
    "Private_Dirty": "private_dirty_mb",
}


def our_command(folders: Folders, port: int, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "search_back.cli", "back", "--index-folder", str(folders.ours)),
        *("--port", str(port), "--enable-hdf5", "True", "--enable-faiss-memory-mapping", "True"),
        *("--clip-model", str(folders.model.parent / "int8"), *options),
    ]


def peer_command(python: Path, main: Path | None, folders: Folders, port: int) -> list[str]:
    paths = folders.peer.parent / "indices_paths.json"
    paths.write_text(json.dumps({NAME: str(folders.peer)}), encoding="utf-8")
    return [
        *((str(python), "-c", START, str(main)) if main else (str(python), "-m", MODULE)),
        *("back", "--indices_paths", str(paths), "--port", str(port)),
        *("--clip_model", folders.clip_model, "--use_jit", "False"),
        *("--enable_hdf5", "True", "--enable_faiss_memory_mapping", "True"),
        *("--enable_mclip_option", "False", "--provide_aesthetic_embeddings", "False"),
    ]


@dataclass(frozen=True)
class Answers:
    """To some requests: seconds of each, what they said, and seconds from first to last."""

    seconds: list[float]
    bodies: list[bytes]
    wall: float

    def ids(self) -> list[list[int]]:
        return [[hit["id"] for hit in json.loads(body)] for body in self.bodies]


class Server:
    """One that runs; ``first_answer_s``: from its start to its answer to ``first``."""

    def __init__(self, command: list[str], port: int, first: dict[str, Any], log: Path) -> None:
        self.port = port
        began = time.perf_counter()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, "HF_HUB_OFFLINE": "1", **_path_of(command)},
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        while True:
            try:
                self.ask([first])
                break
            except (ConnectionError, TimeoutError) as error:
                if self._process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    self.stop()
                    said = log.read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"{command[0]} does not serve: {said[-2000:]}") from error
                time.sleep(0.01)
        self.first_answer_s = time.perf_counter() - began

    def ask(self, bodies: Sequence[dict[str, Any]], *, clients: int = 1) -> Answers:
        """Each body once, ``clients`` at a time; raises ``RuntimeError`` where one is refused."""
        return ask(self.port, [_request(body) for body in bodies], clients)

    def cpu_s(self) -> float:
        return cpu_of_session(self._process.pid)

    def memory(self) -> list[dict[str, float]]:
        """Of each process, the largest first."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                if int(stat.rpartition(")")[2].split()[3]) == self._process.pid:
                    found.append(_memory(folder))
        return sorted(found, key=lambda process: -process["rss_mb"])

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def served(command: list[str], port: int, first: dict[str, Any], log: Path) -> Iterator[Server]:
    server = Server(command, port, first, log)
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class _Client:
    """A connection, kept where the server keeps it, and the request on it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket: socket.socket | None = None
        self.turn = 0
        self.began = 0.0
        self._got = bytearray()

    def send(self, request: bytes, turn: int) -> None:
        self.turn, self.began = turn, time.perf_counter()
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got.clear()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The answer's body, once all of it is there."""
        assert self.socket is not None
        data = self.socket.recv(1 << 20)
        self._got += data
        head, found, rest = self._got.partition(b"\r\n\r\n")
        if not data and not found:
            raise ConnectionResetError("the server closed the connection")
        if not found:
            return None
        fields = head.lower().split(b"\r\n")
        length = next(int(f[15:]) for f in fields if f.startswith(b"content-length:"))
        if len(rest) < length:
            return None
        if fields[0].startswith(b"http/1.0") or b"connection: close" in fields:
            self.socket.close()
            self.socket = None
        if b" 200 " not in fields[0]:
            raise RuntimeError(f"{bytes(fields[0])!r}: {bytes(rest)!r}")
        return bytes(rest)


def ask(port: int, requests: Sequence[bytes], clients: int) -> Answers:
    """One thread and no parsing, since the server shares its cores with us."""
    seconds, bodies = [0.0] * len(requests), [b""] * len(requests)
    left = iter(enumerate(requests))
    began = time.perf_counter()
    with selectors.DefaultSelector() as selector:

        def next_of(client: _Client) -> None:
            try:
                turn, request = next(left)
            except StopIteration:
                if client.socket is not None:
                    client.socket.close()
                return
            client.send(request, turn)
            assert client.socket is not None
            selector.register(client.socket, selectors.EVENT_READ, client)

        for _ in range(min(clients, len(requests))):
            next_of(_Client(port))
        while selector.get_map():
            for key, _ in selector.select():
                client: _Client = key.data
                body = client.receive()
                if body is not None:
                    seconds[client.turn] = time.perf_counter() - client.began
                    bodies[client.turn] = body
                    selector.unregister(key.fileobj)
                    next_of(client)
    return Answers(seconds, bodies, time.perf_counter() - began)


def _request(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = (
        "POST /knn-service HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _path_of(command: list[str]) -> dict[str, str]:
    """The other's packages are its own."""
    return {} if command[0] == sys.executable else {"PYTHONPATH": ""}


def _memory(process: Path) -> dict[str, float]:
    """``private_clean_mb`` is read from files, and the system may drop it."""
    found = {}
    for line in (process / "smaps_rollup").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name in MEMORY:
            found[MEMORY[name]] = round(int(value.split()[0]) / 1024, 1)
    return found
