"""Running the app until somebody stops it."""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from search_back.config import IndexOptions, ServerSettings
from search_back.errors import ConfigError, PortInUse
from search_back.memory import share_arenas
from search_back.server.app import create_app
from search_back.server.listening import BACKLOG, Bounds, HttpServer
from search_back.server.requests import name_requests_in_log
from search_back.services import Services
from search_back.tracing import check_tracing

LOGGER = logging.getLogger(__name__)
STOPPING = (signal.SIGINT, signal.SIGTERM)
# Whoever presses Ctrl-C waits no longer than this for answers under way.
IMPATIENT_S = 1.0

ReadIndices = Callable[[], Mapping[str, IndexOptions]]


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``PortInUse`` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUse(
                f"port {port} of {host} cannot be used",
                value=error.strerror,
                remedy="stop the other program, or choose another with --port",
            ) from error
        raise PortInUse(
            f"the address {host}:{port} cannot be used",
            value=str(error),
            remedy="choose another with --host and --port",
        ) from error
    return listener


def serve(
    settings: ServerSettings,
    listener: socket.socket,
    *,
    ready: Callable[[str], None] = lambda url: None,
    read_indices: ReadIndices | None = None,
) -> None:
    """Serve until interrupted or terminated. ``ready`` is told the address once it answers.

    The port is bound before anything is loaded, so that a port in use is known at once; encoders
    are loaded in the background while the page is already served. SIGHUP reloads the indices,
    those that ``read_indices`` names then. Raises what keeps every index from being opened.
    """
    check_tracing(settings.otlp_endpoint)
    # Arrow's own allocator keeps megabytes for each thread, and is no faster for rows of answers.
    pa.set_memory_pool(pa.system_memory_pool())
    share_arenas()
    url = address(settings.host, listener)
    name_requests_in_log()
    if server_kind(settings.server) == "gunicorn":
        from search_back.server.workers import supervise

        supervise(settings, listener, ready=lambda: ready(url), read_indices=read_indices)
    else:
        _serve_here(settings, listener, ready=lambda: ready(url), read_indices=read_indices)


def server_kind(wanted: str) -> str:
    """``gunicorn`` or ``waitress``; raises ``ConfigError`` where what is wanted is not there."""
    there = hasattr(os, "fork") and importlib.util.find_spec("gunicorn") is not None
    if wanted == "auto":
        return "gunicorn" if there else "waitress"
    if wanted == "gunicorn" and not there:
        raise ConfigError(
            "gunicorn is not to be had here", remedy="install it, or give --server waitress"
        )
    return wanted


def bounds(settings: ServerSettings) -> Bounds:
    """What one process takes on."""
    return Bounds(
        threads=settings.threads,
        max_waiting=settings.max_waiting_requests,
        max_body_bytes=settings.limits.max_body_bytes,
        max_connections=settings.max_connections,
    )


def _serve_here(
    settings: ServerSettings,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    read_indices: ReadIndices | None,
) -> None:
    """All in this process."""
    with stoppable() as stop:
        services = Services(settings, read_indices=read_indices)
        services.open()
        metrics = services.metrics
        server = HttpServer(
            create_app(services), listener, bounds(settings), refused=metrics.count_refusal
        )
        metrics.watched.server(
            waiting=lambda: server.waiting, connections=lambda: server.connections
        )
        warm_up = threading.Thread(target=services.warm_up, name="warm-up", daemon=True)
        warm_up.start()
        reloading = Reloading(services)
        stop.gently(wake=server.pull_trigger)
        with reloading.on_hangup():
            ready()
            server.serve(lambda: stop.wanted)
            grace = settings.stop_timeout_s
            done = server.drain(min(grace, IMPATIENT_S) if stop.impatient else grace)
        server.close()
        if services.tracing is not None:
            services.tracing.close()
        if not done or warm_up.is_alive():
            leave()
        services.close()


class Stop:
    """Whether somebody wants the server to stop, and how soon."""

    def __init__(self) -> None:
        self.wanted = False
        self.impatient = False
        self._wake: Callable[[], None] | None = None

    def gently(self, *, wake: Callable[[], None]) -> None:
        """From now on a signal sets ``wanted`` and calls ``wake``, and ends nothing by itself."""
        self._wake = wake

    def __call__(self, number: int, _: object) -> None:
        self.impatient = self.wanted or number == signal.SIGINT
        self.wanted = True
        if self._wake is None:
            raise _Stopped(0)
        self._wake()


@contextmanager
def stoppable() -> Iterator[Stop]:
    """SIGTERM and Ctrl-C end the block, wherever it is, without an error.

    SIGINT too is set, since a shell starts what runs in its background without it.
    """
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield stop
    except (KeyboardInterrupt, _Stopped):
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    LOGGER.info("stopped")


class Reloading:
    """Reloads when asked, in a thread of its own, once for all who ask meanwhile."""

    def __init__(
        self, services: Services, after: Callable[[dict[str, str]], None] = lambda failed: None
    ) -> None:
        self._services = services
        self._after = after
        self._asked = threading.Event()
        threading.Thread(target=self._run, name="reload", daemon=True).start()

    def ask(self, *_: object) -> None:
        self._asked.set()

    @contextmanager
    def on_hangup(self) -> Iterator[None]:
        """SIGHUP asks, inside the block."""
        if not hasattr(signal, "SIGHUP"):
            yield
            return
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGHUP, self.ask) if main else None
        try:
            yield
        finally:
            if main:
                signal.signal(signal.SIGHUP, before)

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            try:
                self._after(self._services.reload())
            except Exception as error:  # nobody else would tell
                LOGGER.error("nothing is reloaded: %s", error)
                self._after({"": str(error)})


def leave(status: int = 0) -> None:
    """End the process under threads that are still at work.

    The interpreter ends a daemon thread wherever it is, and aborts the process where that is in a
    C++ library.
    """
    LOGGER.info("stopped")
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


class _Stopped(SystemExit):
    """Somebody stopped the server while it was loading."""


def address(host: str, listener: socket.socket) -> str:
    """The URL to open in a browser."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
