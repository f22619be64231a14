"""Real indices made by the real chain, apps on them, and a server as users start it.

What is expensive is made once a session and shared; nothing here changes it afterwards.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings

from search_back.config import IndexOptions, Limits, ServerSettings
from search_back.encoders import load_encoder
from search_back.index.build import BuildSettings, build
from search_back.inference import InferenceSettings, run
from search_back.interfaces import Encoder
from search_back.models import MODEL_NAME, pictures_tar
from search_back.server import create_app
from search_back.services import Services
from search_back.types import FloatArray
from tests.serving import running

# How long an example takes says more of the machine than of the code.
hypothesis_settings.register_profile("search_back", deadline=None)
hypothesis_settings.load_profile("search_back")

SMALL = 60
COLUMNS = ("url", "image_path", "caption", "NSFW", "name", "keywords", "group")
START_S = 60.0


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_disks() -> Iterator[None]:
    """Files of tests need not outlive a power cut; that others do is tested where they are written.

    A quarter of the time of runs that are stopped and go on was spent in waiting for disks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@dataclass(frozen=True)
class Chain:
    """What `inference` and `index` left, and what is true of it."""

    pictures: Path
    embeddings: Path
    index: Path

    def vectors(self, modality: str) -> FloatArray:
        """The rows as inference wrote them: `(n, d)` float32."""
        folder = self.embeddings / {"image": "img_emb", "text": "text_emb"}[modality]
        rows = np.concatenate([np.load(file) for file in sorted(folder.glob("*.npy"))])
        return rows.astype(np.float32)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The metadata, by id."""
        rows: list[dict[str, Any]] = pq.read_table(self.index / "metadata").to_pylist()
        return rows

    def ranking(self, query: FloatArray, modality: str = "image") -> list[int]:
        """Ids by inner product with a query, best first: brute force."""
        return np.argsort(-(self.vectors(modality) @ query), kind="stable").tolist()


def make_chain(home: Path, *, keep: Callable[[int], bool]) -> Chain:
    """Unpack the bundled pictures whose number is kept, embed them and index them."""
    pictures = home / "pictures"
    pictures.mkdir(parents=True)
    with tarfile.open(pictures_tar()) as tar:
        numbers: dict[str, int] = {}
        for member in tar:
            name = Path(member.name)
            number = numbers.setdefault(name.stem, len(numbers))
            if keep(number):
                source = tar.extractfile(member)
                assert source is not None
                (pictures / name.name).write_bytes(source.read())
    run(
        InferenceSettings(
            input_dataset=(str(pictures),),
            output_folder=home / "embeddings",
            enable_metadata=True,
        ),
        load_encoder(MODEL_NAME),
    )
    build(BuildSettings(embeddings_folder=home / "embeddings", index_folder=home / "index"))
    return Chain(pictures, home / "embeddings", home / "index")


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """An index of some sixty of the bundled pictures, of every kind."""
    with tarfile.open(pictures_tar()) as tar:
        total = sum(name.endswith(".jpg") for name in tar.getnames())
    step = total // SMALL
    return make_chain(tmp_path_factory.mktemp("small"), keep=lambda number: number % step == 0)


@pytest.fixture(scope="session")
def full_chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """An index of all bundled pictures: some ten seconds of work, for the tests that need it."""
    return make_chain(tmp_path_factory.mktemp("full"), keep=lambda number: True)


@pytest.fixture(scope="session")
def emoji() -> Encoder:
    """The bundled model."""
    return load_encoder(MODEL_NAME)


@pytest.fixture
def serve_app() -> Iterator[Callable[..., Flask]]:
    """`serve_app({"name": IndexOptions(…)}, limits=…)` → an app, whose files are closed after."""
    opened: list[Services] = []

    def make(indices: dict[str, IndexOptions], **settings: Any) -> Flask:
        services = Services(ServerSettings(indices=indices, **settings))
        opened.append(services)
        services.open()
        return create_app(services)

    yield make
    for services in opened:
        services.close()


@pytest.fixture(scope="session")
def services(chain: Chain) -> Iterator[Services]:
    """The small index, served as `emoji`; addresses of this machine may be fetched."""
    services = Services(
        ServerSettings(
            indices={"emoji": IndexOptions(chain.index, columns_to_return=COLUMNS)},
            limits=Limits(allow_private_addresses=True),
        )
    )
    yield services
    services.close()


@pytest.fixture(scope="session")
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass
class LiveServer:
    """A running `search-back back`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path = field(repr=False)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = 10.0) -> int:
        """Send a signal and wait: the exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def start_server(arguments: Sequence[str], *, log: Path, cwd: Path | None = None) -> LiveServer:
    """Start `search-back back` on a free port and wait until it says its address."""
    command = [sys.executable, "-m", "search_back.cli", "back", "--port", "0", *arguments]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stderr=output, stdout=output, cwd=cwd, env={**os.environ, "NO_COLOR": "1"}
        )
    try:
        said = wait_for(
            lambda: re.search(r' at (http://[^\s"]+)["\n]', log.read_text()),
            or_dead=process,
            log=log,
        )
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return LiveServer(said[1], process, log)


def wait_for(
    condition: Callable[[], Any], *, or_dead: subprocess.Popen[bytes] | None = None, log: Path
) -> Any:
    """The first true value of a condition; fails with the log where it stays false."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        if or_dead is not None and or_dead.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"did not come about; the log says:\n{log.read_text()}")


@pytest.fixture(scope="session")
def live(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server in a process of its own, as a user starts it; address of the page without `/`."""
    log = tmp_path_factory.mktemp("live") / "log"
    server = start_server(
        [
            *("--index-folder", str(chain.index), "--allow_private_addresses", "True"),
            *("--columns_to_return", ",".join(COLUMNS)),
        ],
        log=log,
    )
    yield server
    status = server.stop()
    assert status == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def picture_host(chain: Chain) -> Iterator[str]:
    """The address of a server on this machine that has the small index's pictures."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = chain.pictures / Path(self.path).name
            if not file.is_file():
                self.send_error(404)
                return
            body = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}"
