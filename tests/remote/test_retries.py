"""What is tried again, how often, and what is raised in the end."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import ssl
from collections import deque
from threading import Event
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import BadFolder
from search_back.remote.retries import Retries, as_os_error, worth_a_retry


class Answer(Exception):
    """As aiohttp tells a status."""

    def __init__(self, status: int) -> None:
        self.status = status


class BotoError(Exception):
    def __init__(self, status: int) -> None:
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


class RequestsError(Exception):
    def __init__(self, status: int) -> None:
        self.response = SimpleNamespace(status_code=status)


class GoogleError(Exception):
    def __init__(self, status: int) -> None:
        self.code = status


ClientPayloadError = type("ClientPayloadError", (Exception,), {})
ReadTimeoutError = type("ReadTimeoutError", (type("HTTPClientError", (Exception,), {}),), {})
ClientConnectorCertificateError = type(
    "ClientConnectorCertificateError",
    (type("ClientConnectionError", (ssl.CertificateError,), {}),),
    {},
)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


LOST = [
    Answer(503),
    Answer(500),
    Answer(429),
    Answer(408),
    BotoError(503),
    RequestsError(502),
    GoogleError(504),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    BrokenPipeError(),
    TimeoutError(),
    asyncio.TimeoutError(),
    EOFError(),
    socket.gaierror(-3, "Temporary failure in name resolution"),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    OSError(errno.EBUSY, "Please reduce your request rate"),
    ClientPayloadError("not all came"),
    ReadTimeoutError(),
    caused(FileNotFoundError("https://host/a"), Answer(503)),
    caused(FileNotFoundError("https://host/a"), ConnectionRefusedError()),
]
FINAL = [
    Answer(404),
    Answer(403),
    Answer(401),
    Answer(416),
    BotoError(403),
    GoogleError(404),
    FileNotFoundError("a"),
    caused(FileNotFoundError("a"), KeyError("a")),
    caused(FileNotFoundError("https://host/a"), Answer(404)),
    PermissionError("a"),
    IsADirectoryError("a"),
    OSError(errno.ENOSPC, "No space left on device"),
    ssl.SSLCertVerificationError(1, "self-signed"),
    caused(FileNotFoundError("https://host/a"), ClientConnectorCertificateError()),
    ValueError("a"),
    TypeError("a"),
]


@pytest.mark.parametrize("error", LOST, ids=repr)
def test_what_the_network_did_is_worth_a_retry(error: Exception) -> None:
    assert worth_a_retry(error)


@pytest.mark.parametrize("error", FINAL, ids=repr)
def test_what_stays_so_is_not(error: Exception) -> None:
    assert not worth_a_retry(error)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (Answer(404), FileNotFoundError, "HTTP 404 Not Found"),
        (Answer(403), PermissionError, "HTTP 403 Forbidden"),
        (Answer(503), OSError, "HTTP 503 Service Unavailable"),
        (caused(FileNotFoundError("u"), Answer(401)), PermissionError, "HTTP 401 Unauthorized"),
        (caused(FileNotFoundError("u"), KeyError("u")), FileNotFoundError, "No such file"),
        (asyncio.TimeoutError(), TimeoutError, "Connection timed out"),
        (PermissionError("bucket"), PermissionError, "Permission denied"),
        (IsADirectoryError("u"), IsADirectoryError, "Is a directory"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), ConnectionResetError, "reset"),
        (ClientPayloadError("not all came\nof it"), OSError, "not all came"),
        (KeyError(), OSError, "KeyError"),
        (
            caused(FileNotFoundError("u"), ssl.SSLCertVerificationError(1, "self-signed")),
            OSError,
            "self-signed",
        ),
        (socket.gaierror(-2, "Name or service not known"), OSError, "Name or service"),
    ],
)
def test_every_failure_is_an_os_error_with_words(
    error: Exception, kind: type[OSError], words: str
) -> None:
    raised = as_os_error(error, "https://host/a?key=secret")
    assert type(raised) is kind
    assert raised.strerror is not None
    assert raised.strerror.startswith(words)
    assert "\n" not in raised.strerror
    assert raised.filename == "https://host/a?…"


def test_a_lost_connection_is_tried_again_and_waited_for(
    retries: Retries, waits: list[float]
) -> None:
    errors = deque([Answer(503), TimeoutError(), ConnectionResetError()])

    def read() -> str:
        if errors:
            raise errors.popleft()
        return "whole"

    assert retries.run(read, "s3://b/a") == "whole"
    assert waits == [0.5, 1.0, 2.0]


def test_the_last_error_is_raised(retries: Retries, waits: list[float]) -> None:
    errors = deque([*[Answer(503)] * 4, TimeoutError(), ZeroDivisionError()])

    def read() -> None:
        raise errors.popleft()

    with pytest.raises(TimeoutError):
        retries.run(read, "s3://b/a")
    assert len(waits) == 4
    assert len(errors) == 1


def test_what_stays_so_is_raised_at_once(retries: Retries, waits: list[float]) -> None:
    def read() -> None:
        raise Answer(404)

    with pytest.raises(FileNotFoundError, match="HTTP 404"):
        retries.run(read, "s3://b/a")
    assert waits == []


def test_an_error_of_this_package_passes(retries: Retries, waits: list[float]) -> None:
    error = BadFolder("there is nothing")

    def read() -> None:
        raise error from TimeoutError()

    with pytest.raises(BadFolder) as caught:
        retries.run(read, "s3://b/a")
    assert caught.value is error
    assert waits == []


def test_who_is_stopped_while_waiting_does_not_try_again() -> None:
    stop = Event()
    tries: list[int] = []

    def read() -> None:
        tries.append(1)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Retries(wait=lambda stop, seconds: stop.set()).run(read, "s3://b/a", stop=stop)
    assert len(tries) == 1


@given(failed=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_wait_grows_to_its_longest_and_varies_by_half(failed: int, seed: int) -> None:
    retries = Retries(jitter=random.Random(seed).random)
    longest = min(30.0, 0.5 * 2 ** (failed - 1))
    assert longest / 2 <= retries.wait_s(failed) <= longest


def test_by_default_a_wait_ends_when_it_is_stopped() -> None:
    stop = Event()
    stop.set()
    assert Retries().wait(stop, 3600.0) is True
