"""Trying again what the network did, and one kind of error for all that it does."""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, TypeVar

from search_back.errors import SearchBackError
from search_back.remote.addresses import shown

T = TypeVar("T")

_STATUS_LOST: Final = frozenset({408, 425, 429})
_STATUS_ERRNO: Final = {
    401: errno.EACCES,
    403: errno.EACCES,
    404: errno.ENOENT,
    407: errno.EACCES,
    410: errno.ENOENT,
}
_ERRNO_LOST: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ETIMEDOUT,
    }
)
_TYPES_LOST: Final = (
    TimeoutError,
    asyncio.TimeoutError,
    ConnectionError,
    EOFError,
    http.client.IncompleteRead,
    socket.gaierror,
)
# Base classes of aiohttp, botocore, azure, google and requests: known by name, so that none of
# these packages is imported, nor needed.
_NAMES_LOST: Final = frozenset(
    {
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ServiceRequestError",
        "ServiceResponseError",
        "Timeout",
        "TransportError",
    }
)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often to try, and how long to wait in between.

    The wait before try n + 1 is ``first_wait_s · 2^(n - 1)``, at most ``longest_wait_s``, times a
    random part between a half and one: many readers that one fault stopped must not all come back
    at once. ``wait``: called with an event that ends the wait, and seconds.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    wait: Callable[[Event, float], object] = Event.wait
    jitter: Callable[[], float] = random.random

    def run(self, read: Callable[[], T], url: str, *, stop: Event | None = None) -> T:
        """What ``read`` gives, which is called again while that is worth it.

        Worth it is a lost connection, a timeout, and the answers 408, 425, 429 and 5xx. Every
        failure is raised as an ``OSError`` with ``strerror``, and the address as its ``filename``:
        ``FileNotFoundError`` and ``PermissionError`` where it is one. A ``SearchBackError`` passes.
        ``stop``: once set, there is no further try.
        """
        stop = stop or Event()
        for attempt in range(1, self.attempts + 1):
            try:
                return read()
            except SearchBackError:
                raise
            except Exception as error:
                if attempt < self.attempts and worth_a_retry(error) and not stop.is_set():
                    self.wait(stop, self.wait_s(attempt))
                    if not stop.is_set():
                        continue
                raise as_os_error(error, url) from error
        raise AssertionError("attempts is at least 1")

    def wait_s(self, failed: int) -> float:
        """Seconds to wait after that many failed tries, at least one."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (failed - 1))
        return longest * (0.5 + 0.5 * self.jitter())


RETRIES: Final = Retries()


def worth_a_retry(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    link = _telling(error)
    status = _status(link)
    if status is not None:
        return status in _STATUS_LOST or status >= 500
    return _is_lost(link)


def as_os_error(error: BaseException, url: str) -> OSError:
    """An ``OSError`` of the right kind with words for people, whatever a filesystem raised."""
    link = _telling(error)
    status = _status(link)
    if status is not None:
        words = f"HTTP {status} {http.client.responses.get(status, '')}".rstrip()
        return OSError(_STATUS_ERRNO.get(status, errno.EIO), words, shown(url))
    code = _code(link)
    return OSError(code, _words(link, code), shown(url))


def _telling(error: BaseException) -> BaseException:
    """The first of an error and its causes that tells what happened, or the error itself.

    That is a status, a lost connection, or a certificate that was not accepted: fsspec's
    HTTP says ``FileNotFoundError`` of all that goes wrong while it asks for a size.
    """
    link: BaseException | None = error
    while link is not None:
        if _is_lost(link) or _is_of_certificate(link) or _status(link) is not None:
            return link
        link = link.__cause__
    return error


def _is_lost(error: BaseException) -> bool:
    if _is_of_certificate(error):
        return False
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, _TYPES_LOST) or not names.isdisjoint(_NAMES_LOST):
        return True
    return isinstance(error, OSError) and error.errno in _ERRNO_LOST


def _is_of_certificate(error: BaseException) -> bool:
    """aiohttp's is a lost connection too, by its classes."""
    return isinstance(error, ssl.CertificateError)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error tells."""
    places = _status_places(error)
    return next((place for place in places if isinstance(place, int) and 400 <= place < 600), None)


def _status_places(error: BaseException) -> Iterator[Any]:
    """Where aiohttp, azure, google, requests and botocore keep it, in turn."""
    yield getattr(error, "status", None)
    yield getattr(error, "status_code", None)
    yield getattr(error, "code", None)
    answer = getattr(error, "response", None)
    yield getattr(answer, "status_code", None)
    if isinstance(answer, dict):
        yield answer.get("ResponseMetadata", {}).get("HTTPStatusCode")


def _code(error: BaseException) -> int:
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT
    if isinstance(error, PermissionError):
        return errno.EACCES
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return errno.ETIMEDOUT
    if isinstance(error, IsADirectoryError):
        return errno.EISDIR
    # TLS and the resolver of names number their errors in ways of their own.
    if isinstance(error, (ssl.SSLError, socket.gaierror)):
        return errno.EIO
    if isinstance(error, OSError) and error.errno:
        return error.errno
    return errno.EIO


def _words(error: BaseException, code: int) -> str:
    if code in (errno.ENOENT, errno.EACCES, errno.ETIMEDOUT, errno.EISDIR):
        return os.strerror(code)
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
