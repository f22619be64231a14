"""Reverse proxies: whom a request comes from, as far as those who say so are trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from waitress.proxy_headers import proxy_headers_middleware

FORWARDED: Final = "search_back.forwarded"
"""In a request's environ: whether a proxy handed it on, trusted or not."""

_BELIEVED: Final = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
_TELL: Final = (
    *("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP"),
    *("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO"),
)

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def behind_proxies(
    app: App, *, trusted: Sequence[IPv4Network | IPv6Network], count: int = 1
) -> App:
    """Take the client's address, the scheme and the host from the headers of trusted proxies.

    ``count``: how many of them a request comes through; what stands before their entries anybody
    may have written. Of everyone else those headers are dropped.
    """
    believed = proxy_headers_middleware(
        app, trusted_proxy="*", trusted_proxy_count=count, trusted_proxy_headers=_BELIEVED
    )
    dropped = proxy_headers_middleware(app)

    def judged(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        peer = address_of(environ.setdefault("REMOTE_ADDR", ""))  # WSGI need not tell it
        known = peer is not None and any(peer in network for network in trusted)
        environ[FORWARDED] = known or any(header in environ for header in _TELL)
        answer: Iterable[bytes] = (believed if known else dropped)(environ, start_response)
        return answer

    return judged


def address_of(text: str | None) -> IPv4Address | IPv6Address | None:
    """An IP address, of version 4 where it is one in the clothes of version 6; None for no such."""
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
