"""Running the app: one process, several threads."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from search_back.config import ServerSettings
from search_back.errors import PortInUse
from search_back.server.app import create_app
from search_back.services import Services

LOGGER = logging.getLogger(__name__)
BACKLOG = 1024
# Answers under way when the server is stopped may take so long; the rest are cut off.
GRACE_S = 1.0
STOPPING = (signal.SIGINT, signal.SIGTERM)


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
) -> None:
    """Serve until interrupted or terminated. ``ready`` is told the address once it answers.

    The port is bound before anything is loaded, so that a port in use is known at once; encoders
    are loaded in the background while the page is already served.
    """
    from search_back.server.wsgi import make_server

    with stoppable():
        services = Services(settings)
        server: Any = make_server(
            create_app(services),
            listener,
            threads=settings.threads,
            connections=BACKLOG,
            max_body_bytes=settings.limits.max_body_bytes,
            grace_s=GRACE_S,
        )
        warm_up = threading.Thread(target=services.warm_up, name="warm-up", daemon=True)
        warm_up.start()
        ready(address(settings.host, listener))
        try:
            server.run()
        finally:
            server.close()
            if warm_up.is_alive() or server.task_dispatcher.threads:
                _leave()
            services.close()


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the block, wherever it is, without an error.

    ``server.run()`` returns on both by itself; the rest of the block may be loading. SIGINT too
    is set, since a shell starts what runs in its background without it.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, _stop) for number in STOPPING}
    try:
        yield
    except (KeyboardInterrupt, _Stopped):
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    LOGGER.info("stopped")


def _leave() -> None:
    """End the process under threads that are still at work.

    The interpreter ends a daemon thread wherever it is, and aborts the process where that is in a
    C++ library.
    """
    LOGGER.info("stopped")
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


class _Stopped(SystemExit):
    """A ``SystemExit``, so that waitress takes it for what it is."""


def _stop(*_: object) -> None:
    raise _Stopped(0)


def address(host: str, listener: socket.socket) -> str:
    """The URL to open in a browser."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
