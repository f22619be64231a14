"""A WSGI server on one listening socket."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from search_back.server.listening.channel import JsonChannel
from search_back.server.listening.dispatcher import BoundedDispatcher

LOGGER = logging.getLogger(__name__)
BACKLOG: Final = 2048
TICK_S: Final = 1.0
# A kept connection may be carrying a request just now: so long it is listened to at the end.
LINGER_S: Final = 1.0
EVICTED_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one process takes on.

    ``threads``: requests answered at a time; ``max_waiting``: that may wait for a thread;
    ``max_connections``: open at a time; ``max_body_bytes``: of a request; ``header_s``,
    ``body_s``: seconds that a request's head and body may take to arrive, of the body beyond what
    its bytes take at 20 kB/s; ``idle_s``: how long a connection is kept for another request.
    """

    threads: int
    max_waiting: int
    max_body_bytes: int
    max_connections: int = 1024
    header_s: float = 10.0
    body_s: float = 20.0
    idle_s: float = 75.0


class HttpServer(TcpWSGIServer):  # type: ignore[misc]
    """Serves a WSGI app on a bound socket.

    A body a little over ``max_body_bytes`` is read to its end, so that its sender can read why
    the app refuses it; one of twice as much is cut off. Where all connections are taken, those go
    that have waited longest without a request. ``refused``: told the reason for each request that
    the app does not see, ``too_slow`` for one that did not arrive in time; must be quick.
    """

    channel_class = JsonChannel

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        bounds: Bounds,
        *,
        refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.bounds = bounds
        self.refused = refused
        self.draining = False
        self._waking = threading.RLock()  # a signal may wake it while it closes
        self._closed = False
        adjustments = Adjustments(
            sockets=[listener],
            threads=bounds.threads,
            ident=None,
            backlog=BACKLOG,
            # One more than we let in, so that waitress itself never stops accepting.
            connection_limit=2 * bounds.max_connections + 100,
            channel_timeout=round(bounds.idle_s),
            cleanup_interval=1,
            # The app judges them, which must know that there were any.
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
            max_request_body_size=2 * bounds.max_body_bytes + 2**20,
            # select() ends at 1,024 file descriptors.
            asyncore_use_poll=True,
        )
        super().__init__(
            app,
            {},
            True,
            listener,
            dispatcher=BoundedDispatcher(threads=bounds.threads, max_waiting=bounds.max_waiting),
            adj=adjustments,
            bind_socket=False,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        )

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        waiting: int = self.task_dispatcher.waiting
        return waiting

    @property
    def connections(self) -> int:
        return len(self.active_channels)

    def add_task(self, task: JsonChannel) -> None:
        task.take(offer=self.task_dispatcher.offer)

    def handle_accept(self) -> None:
        if self.draining:
            return
        if len(self.active_channels) >= self.bounds.max_connections:
            self._evict()
        super().handle_accept()

    def readable(self) -> bool:
        readable: bool = super().readable()
        full = len(self.active_channels) >= self.bounds.max_connections
        return readable and not self.draining and not (full and not self._idle())

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        bounds, moment = self.bounds, time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.will_close or not channel.late(
                moment, header_s=bounds.header_s, body_s=bounds.body_s
            ):
                continue
            channel.will_close = True
            if channel.request is not None:
                self.refused("too_slow")

    def serve(self, stopped: Callable[[], bool], tick: Callable[[], None] = lambda: None) -> None:
        """Answer until ``stopped``, which is asked at least each second, before each ``tick``."""
        while not stopped():
            tick()
            wasyncore.loop(timeout=TICK_S, map=self._map, use_poll=True, count=1)

    def drain(self, grace_s: float, tick: Callable[[], None] = lambda: None) -> bool:
        """Take no more connections, answer what is under way; whether it all ended in time."""
        self._stop_listening()
        self.draining = True
        began = time.monotonic()
        while (spent := time.monotonic() - began) < grace_s:
            tick()
            channels = self.active_channels.values()
            quiet = not self.waiting and not any(c.busy or c.request for c in channels)
            if quiet and (not channels or spent >= LINGER_S):
                break
            wasyncore.loop(timeout=0.05, map=self._map, use_poll=True, count=1)
        busy = any(channel.busy for channel in self.active_channels.values())
        self.task_dispatcher.shutdown(timeout=0.0 if busy else 1.0)
        return not busy and not self.task_dispatcher.threads

    def close(self) -> None:
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        with self._waking:
            self._closed = True
            super().close()

    def pull_trigger(self) -> None:
        """Wake the thread that reads. Any thread may, at any time.

        Once the server is closed this does nothing: it would write to whatever got the number of
        the descriptor since.
        """
        with self._waking:
            if not self._closed:
                super().pull_trigger()

    def _stop_listening(self) -> None:
        """From now on connections are refused; those that the kernel has taken are served."""
        before = -1
        while len(self.active_channels) != before:
            before = len(self.active_channels)
            self.handle_accept()
        wasyncore.dispatcher.close(self)

    def _idle(self) -> list[JsonChannel]:
        return [channel for channel in self.active_channels.values() if not channel.busy]

    def _evict(self) -> None:
        idle = sorted(self._idle(), key=lambda channel: float(channel.last_activity))
        for channel in idle[:EVICTED_AT_ONCE]:
            channel.handle_close()
