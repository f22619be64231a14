"""Connections that go to checked addresses only, and end when their time is over."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from urllib3.connection import HTTPConnection, HTTPSConnection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which everything that a call does has to be over."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds, not below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining == 0

    def check(self) -> None:
        """Raise ``TimeoutError`` once it has passed."""
        if self.passed:
            raise TimeoutError

    @contextmanager
    def watching(self, connection: HTTPConnection) -> Iterator[None]:
        """Hang up at the deadline: a timeout of the socket would start anew with every byte."""
        timer = threading.Timer(self.remaining, _hang_up, [connection.sock])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _hang_up(connected: socket.socket) -> None:
    with suppress(OSError):
        # Not SSLSocket's method, which would drop the encryption under the reading thread.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Pin:
    """The checked addresses of a host; nothing else is connected to."""

    addresses: Sequence[str]
    port: int
    deadline: Deadline

    def open(self) -> socket.socket:
        """A connection to the first that accepts one; each gets its share of the time.

        Raises ``OSError``.
        """
        failure: OSError = ConnectionError("no address")
        for i, address in enumerate(self.addresses):
            self.deadline.check()
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_STREAM)
            try:
                opened.settimeout(self.deadline.remaining / (len(self.addresses) - i) + 1e-3)
                opened.connect((address, self.port))
                opened.settimeout(self.deadline.remaining + 1e-3)
            except OSError as error:
                opened.close()
                failure = error
            else:
                return opened
        raise failure


class PinnedHTTP(HTTPConnection):
    """HTTP to the pin, whatever the host's name resolves to by now."""

    pin: Pin

    def _new_conn(self) -> socket.socket:
        return self.pin.open()


class PinnedHTTPS(HTTPSConnection):
    """Certificate and SNI go by the host's name, the connection by the pin."""

    pin: Pin

    def _new_conn(self) -> socket.socket:
        return self.pin.open()


def within(deadline: Deadline, work: Callable[[], T]) -> T:
    """The result of ``work``, which knows no time limit, or ``FutureTimeoutError``."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    return future.result(timeout=deadline.remaining)
