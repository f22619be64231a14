"""Several processes behind one socket, watched and replaced by gunicorn.

gunicorn starts the processes, notices one that hangs or dies, and passes signals on; inside each
runs the server of :mod:`search_back.server.listening`, which slow clients cannot block. Each
process opens the same mapped files, which the kernel holds in memory once. The parent imports what
they need and opens nothing, so there is no thread for a fork to lose.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from search_back.config import IndexOptions, ServerSettings
from search_back.cores import usable_cores
from search_back.errors import SearchBackError
from search_back.guard import RateTable
from search_back.metrics import PARENT, Metrics, Shared, leave_seat
from search_back.server.app import create_app
from search_back.server.board import Board, Notice
from search_back.server.listening import HttpServer
from search_back.server.serve import IMPATIENT_S, ReadIndices, Reloading, bounds, leave
from search_back.services import Services

LOGGER = logging.getLogger(__name__)
# A process that does not say for so long that it is alive is replaced.
SILENT_S: Final = 60
RELOAD_TIMEOUT_S: Final = 120.0
# How old what one process tells of another may be.
REFRESH_S: Final = 1.0


def supervise(
    settings: ServerSettings,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    read_indices: ReadIndices | None = None,
) -> None:
    """Serve from ``settings.workers`` processes until stopped; ``ready`` is called in the first.

    Raises what keeps every index from being opened.
    """
    _import_what_workers_need()
    with tempfile.TemporaryDirectory(prefix="search_back-") as folder:
        board = Board(Path(folder))
        board.metrics.mkdir()
        app = Supervised(settings, listener, board, ready=ready, read_indices=read_indices)
        try:
            Supervisor(app).run()
        except (SystemExit, HaltServer) as stopped:
            # The latter where another process failed to start while the first was seen to.
            failed = isinstance(stopped, HaltServer) or stopped.code
            if failed and (failure := board.failure()) is not None:
                raise failure from None
            if failed and os.getpid() == app.parent:
                raise
    LOGGER.info("stopped")


def number_of_workers(settings: ServerSettings) -> int:
    """As many as set, else one for two processors: the encoder and faiss use threads too."""
    if settings.workers:
        return settings.workers
    return max(1, min(4, usable_cores() // 2))


class Supervised(BaseApplication):  # type: ignore[misc]
    """What gunicorn is to run, and how."""

    def __init__(
        self,
        settings: ServerSettings,
        listener: socket.socket,
        board: Board,
        *,
        ready: Callable[[], None],
        read_indices: Callable[[], Mapping[str, IndexOptions]] | None,
    ) -> None:
        self.settings = settings
        self.listener = listener
        self.board = board
        self.ready = ready
        self.read_indices = read_indices
        self.secret = secrets.token_bytes(32)
        self.rates = RateTable.create(board.folder / "rates")
        self.parent = os.getpid()
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "workers": number_of_workers(self.settings),
            "worker_class": HttpWorker,
            "timeout": SILENT_S,
            "graceful_timeout": max(1, round(self.settings.stop_timeout_s + 1)),
            "logger_class": PlainLogger,
            "pre_fork": _give_seat,
            "child_exit": lambda _, worker: self._gone(worker),
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        """gunicorn calls this in each process; the app is made there by ``HttpWorker.run``."""
        return lambda environ, start_response: []

    def _gone(self, worker: HttpWorker) -> None:
        """A process has ended; the parent hears of it before it starts another."""
        self.board.take_down(worker.pid)
        leave_seat(self.board.metrics, worker.seat)


class PlainLogger(Logger):  # type: ignore[misc]
    """gunicorn's words in the log of everything else; its routine only where much is logged."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = self.access_log.propagate = True
        verbose = logging.getLogger().isEnabledFor(logging.DEBUG)
        self.error_log.setLevel(logging.DEBUG if verbose else logging.WARNING)

    def reopen_files(self) -> None:
        pass

    def close_on_exec(self) -> None:
        pass


class Supervisor(Arbiter):  # type: ignore[misc]
    """gunicorn's parent process; its SIGHUP reloads the indices and no process."""

    def __init__(self, app: Supervised) -> None:
        super().__init__(app)
        self.LISTENERS = [app.listener]

    def handle_hup(self) -> None:
        self.kill_workers(signal.SIGHUP)

    def handle_usr2(self) -> None:
        LOGGER.warning("SIGUSR2 has no effect; restart the server to run another version of it")


class HttpWorker(Worker):  # type: ignore[misc]
    """One process that serves."""

    app: Supervised
    seat: int

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Loading may wait for a lock: the signal that stops it has to end the wait.
        signal.siginterrupt(signal.SIGTERM, True)
        # Nobody reads from the other end.
        signal.set_wakeup_fd(-1)
        self._server: HttpServer | None = None
        self._grace_s = self.app.settings.stop_timeout_s

    def handle_exit(self, sig: int, frame: object) -> None:
        self._stop(self._grace_s)

    def handle_quit(self, sig: int, frame: object) -> None:
        self._stop(min(self._grace_s, IMPATIENT_S))

    def handle_abort(self, sig: int, frame: object) -> None:
        leave(1)

    def run(self) -> None:
        app = self.app
        beat = threading.Thread(target=self._beat_while_loading, name="beat", daemon=True)
        beat.start()
        metrics = Metrics(Shared(app.board.metrics, self.seat), pids=self._pids)
        try:
            services = Services(
                app.settings, metrics=metrics, read_indices=app.read_indices, secret=app.secret
            )
            # Encoders are read while the indices are.
            threading.Thread(target=services.warm_up, name="warm-up", daemon=True).start()
            services.open()
        except SearchBackError as error:
            app.board.tell_failure(error)
            leave(Arbiter.APP_LOAD_ERROR)
        reload_ = EveryWorker(app.board, parent=self.ppid)
        self._server = server = HttpServer(
            create_app(services, reload=reload_, rates=RateTable(app.secret, app.rates)),
            self.sockets[0],
            bounds(app.settings),
            refused=metrics.count_refusal,
        )
        metrics.watched.server(
            waiting=lambda: server.waiting, connections=lambda: server.connections
        )
        self._watched = metrics.watched
        reloading = Reloading(services, after=self._tell_reload)
        signal.signal(signal.SIGHUP, reloading.ask)
        app.board.pin(Notice(self.pid, self.seat, time.monotonic()))
        if self.age == 1:
            app.ready()
        server.serve(lambda: not self.alive, self._tick)
        server.drain(self._grace_s, self.notify)
        if services.tracing is not None:
            services.tracing.close()
        leave()

    def _stop(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self.alive = False
        if self._server is None:
            leave()
        else:
            self._server.pull_trigger()

    def _tick(self) -> None:
        self.notify()
        self._watched.refresh(every_s=REFRESH_S)
        if os.getppid() != self.ppid:
            LOGGER.warning("the parent process is gone: process %d stops", self.pid)
            self.alive = False

    def _beat_while_loading(self) -> None:
        while self._server is None:
            self.notify()
            time.sleep(1.0)

    def _pids(self) -> dict[str, int]:
        workers = {str(notice.seat): notice.pid for notice in self.app.board.notices()}
        return {PARENT: self.ppid, **workers}

    def _tell_reload(self, failed: dict[str, str]) -> None:
        self.app.board.pin(Notice(self.pid, self.seat, time.monotonic(), failed))


class EveryWorker:
    """Reloads in all processes: asks the parent, which asks them, and waits for their word."""

    def __init__(self, board: Board, *, parent: int) -> None:
        self._board = board
        self._parent = parent

    def __call__(self) -> dict[str, str]:
        since = time.monotonic()
        os.kill(self._parent, signal.SIGHUP)
        notices = self._board.wait_for_reload(since, timeout_s=RELOAD_TIMEOUT_S)
        failed: dict[str, str] = {}
        for notice in notices:
            if notice.reloaded_at <= since:
                failed[""] = f"process {notice.pid} has not reloaded yet"
            failed |= notice.failed or {}
        return failed


def _give_seat(parent: Arbiter, worker: HttpWorker) -> None:
    """The lowest number that no running process has."""
    taken = {running.seat for running in parent.WORKERS.values()}
    worker.seat = next(seat for seat in itertools.count(1) if seat not in taken)


def _import_what_workers_need() -> None:
    """Imported once and shared, instead of by each process anew."""
    for name in ("faiss", "h5py", "onnxruntime"):
        importlib.import_module(name)
