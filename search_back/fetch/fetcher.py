"""Downloading a picture from an address that a stranger typed, without being his way in.

The name is resolved once, every address it stands for is checked, and the connection goes to a
checked address, so that a name that answers differently the second time gains nothing. The
decision is made on the resolved address: ``http://2130706433/`` and ``http://0x7f.1/`` are
loopback like any other spelling of it. Every port is allowed; the address is what counts.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes, urljoin

import certifi
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from search_back import deadlines
from search_back.config import Limits
from search_back.errors import FetchFailed, FetchRefused, LimitExceeded, Overloaded
from search_back.fetch.addresses import refusal
from search_back.fetch.pinned import Deadline, Pin, PinnedHTTP, PinnedHTTPS, within

Resolver = Callable[[str, int], Sequence[str]]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BLOCK: Final = 1 << 16
_HEADERS: Final = {
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "search_back",
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ELSEWHERE: Final = "give a public http or https address, or send the picture itself"


def system_resolver(host: str, port: int) -> list[str]:
    """Every address of a name, as the operating system resolves it; raises ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Downloads pictures within the limits. Thread-safe: a call shares nothing with another.

    No proxies, cookies or credentials are used. ``resolver``: (host, port) → numeric addresses;
    ``tls``: the context that checks certificates, by default the system's authorities and
    certifi's.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._resolver = resolver
        self._given_tls = tls
        self._slots = threading.BoundedSemaphore(limits.max_downloads)

    def fetch(self, url: str) -> bytes:
        """The bytes behind an http, https or ``data:image/…;base64,`` address.

        Whether they are a picture is for the decoder to say. Raises ``FetchRefused`` for an
        address that the rules do not allow, ``FetchFailed`` for one that gave nothing within
        ``fetch_timeout_s``, and ``LimitExceeded`` for ``max_url_bytes``, ``max_redirects``,
        ``max_picture_bytes``; ``Overloaded`` where ``max_downloads`` are under way.
        """
        url = url.strip()
        if url[:5].lower() == "data:":
            return self._inline(url)
        if not self._slots.acquire(blocking=False):
            raise Overloaded(
                f"max_downloads is {self._limits.max_downloads}, and as many are under way",
                retry_after_s=1.0,
                remedy="try again a little later, or raise that setting of the server",
            )
        try:
            return self._follow(url)
        except FetchFailed:
            deadlines.check("the picture had come")
            raise
        finally:
            self._slots.release()

    def _follow(self, url: str) -> bytes:
        deadline = Deadline.after(deadlines.within(self._limits.fetch_timeout_s))
        for _ in range(self._limits.max_redirects + 1):
            answer = self._get(self._parse(url), deadline)
            if isinstance(answer, bytes):
                return answer
            url = answer
        maximum = self._limits.max_redirects
        raise LimitExceeded("max_redirects", value=maximum + 1, maximum=maximum)

    def _inline(self, url: str) -> bytes:
        head, _, payload = url.partition(",")
        if not head.lower().startswith("data:image/") or not head.lower().endswith(";base64"):
            raise FetchRefused(
                "only data:image/…;base64 addresses are allowed", value=head, remedy=_ELSEWHERE
            )
        text = unquote_to_bytes(payload)
        self._check_size(len(text) // 4 * 3 - 2)
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise FetchFailed(
                "the data: address is not base64", value=str(error), remedy=_ELSEWHERE
            ) from error
        self._check_size(len(data))
        return data

    def _check_size(self, size: int) -> None:
        maximum = self._limits.max_picture_bytes
        if size > maximum:
            raise LimitExceeded("max_picture_bytes", value=size, maximum=maximum)

    def _parse(self, url: str) -> Url:
        size = len(url.encode("utf-8", "surrogatepass"))
        if size > self._limits.max_url_bytes:
            raise LimitExceeded("max_url_bytes", value=size, maximum=self._limits.max_url_bytes)
        try:
            parsed = None if _CONTROL.search(url) else parse_url(url)
        except (LocationParseError, ValueError):
            parsed = None
        if parsed is None:
            raise FetchRefused("the address is not a valid URL", value=url, remedy=_ELSEWHERE)
        if parsed.auth is not None:
            shown = parsed._replace(auth=None).url  # a password belongs in no log
            raise FetchRefused(
                "an address with a user name or password is not allowed",
                value=shown,
                remedy="give the address without them",
            )
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise FetchRefused(
                "only http and https addresses are allowed", value=url, remedy=_ELSEWHERE
            )
        return parsed

    def _get(self, url: Url, deadline: Deadline) -> bytes | str:
        """One exchange: the body, or where to go next."""
        host = str(url.host).strip("[]")
        port = url.port if url.port is not None else {"http": 80, "https": 443}[str(url.scheme)]
        shown = url.url
        addresses = self._addresses(host, port, shown, deadline)
        connection: PinnedHTTP | PinnedHTTPS
        if url.scheme == "https":
            connection = PinnedHTTPS(host, port, ssl_context=self._tls)
        else:
            connection = PinnedHTTP(host, port)
        connection.pin = Pin(addresses, port, deadline)
        try:
            connection.connect()
            with deadline.watching(connection):
                connection.request("GET", url.request_uri, headers=_HEADERS)
                # The standard library's response, whose reads are bounded in every part.
                with http.client.HTTPConnection.getresponse(connection) as response:
                    answer = self._answer(response, shown)
            deadline.check()
            return answer
        except (OSError, HTTPError, http.client.HTTPException, ValueError, zlib.error) as error:
            if isinstance(error, TimeoutError) or deadline.passed:
                raise self._too_slow(shown) from error
            raise FetchFailed(
                f"the address could not be read ({_reason(error)})", value=shown, remedy=_ELSEWHERE
            ) from error
        finally:
            connection.close()

    def _addresses(self, host: str, port: int, shown: str, deadline: Deadline) -> list[str]:
        try:
            found = list(within(deadline, lambda: self._resolver(host, port)))
        except FutureTimeoutError as error:
            raise self._too_slow(shown) from error
        except (OSError, UnicodeError) as error:
            raise FetchFailed(
                "the name of the address was not found", value=host, remedy="check its spelling"
            ) from error
        if not found:
            raise FetchFailed("the name has no address", value=host, remedy="check its spelling")
        for address in found:
            rule = refusal(address, allow_private=self._limits.allow_private_addresses)
            if rule is not None:
                raise FetchRefused(
                    f"the address leads to {rule}",
                    value=shown,
                    remedy=f"{_ELSEWHERE}; on an intranet, see allow_private_addresses",
                )
        return found

    def _answer(self, response: http.client.HTTPResponse, shown: str) -> bytes | str:
        location = response.headers.get("Location")
        if response.status in _REDIRECTS and location:
            # http.client reads headers as Latin-1; browsers take a Location as UTF-8.
            location = location.encode("latin-1", "replace").decode("utf-8", "replace")
            try:
                return urljoin(shown, location)
            except ValueError as error:
                raise FetchFailed("the address redirects to no URL", value=location) from error
        if response.status != 200:
            raise FetchFailed(
                f"the address answered HTTP {response.status}", value=shown, remedy=_ELSEWHERE
            )
        self._check_size(response.length or 0)
        body = bytearray()
        encoding = response.headers.get("Content-Encoding", "")
        for block in _decoded(self._blocks(response), encoding.strip().lower(), shown):
            body += block
            self._check_size(len(body))
        return bytes(body)

    def _blocks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        received = 0
        while block := response.read(_BLOCK):
            received += len(block)
            self._check_size(received)
            yield block
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)

    def _too_slow(self, shown: str) -> FetchFailed:
        return FetchFailed(
            f"no whole picture came within fetch_timeout_s = {self._limits.fetch_timeout_s:g} s",
            value=shown,
            remedy="try again, or send the picture itself",
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._given_tls is not None:
            return self._given_tls
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context


def _decoded(blocks: Iterable[bytes], encoding: str, shown: str) -> Iterator[bytes]:
    """What the blocks say in blocks of bounded size, whatever they unpack to."""
    if encoding in ("", "identity"):
        yield from blocks
        return
    if encoding not in ("gzip", "x-gzip"):
        raise FetchFailed(
            f"the address answered in an encoding nobody asked for, {encoding[:40]!r}",
            value=shown,
            remedy=_ELSEWHERE,
        )
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for block in blocks:
        rest = block
        while rest and not decoder.eof:
            yield decoder.decompress(rest, _BLOCK)
            rest = decoder.unconsumed_tail
    if not decoder.eof:
        raise zlib.error("the compressed answer ended early")


def _reason(error: Exception) -> str:
    """For people, without a word of what the other side sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, zlib.error):
        return "its compressed answer is broken"
    return "its answer is not HTTP, or ended early"
