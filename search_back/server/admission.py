"""Who is let in: by key and scope, by rate, or because they ask from this machine itself."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from flask import Request, request

from search_back.config import Rate
from search_back.errors import Forbidden, RateLimited, Unauthorized
from search_back.guard import RateTable, Scope
from search_back.guard.links import SIGNATURE, UNTIL
from search_back.server.proxies import FORWARDED, address_of
from search_back.services import Services

ADMIN: Final = "/admin/"
KEY_HEADER: Final = "X-API-Key"
# Open to all, and cheap enough not to be counted.
OPEN: Final = frozenset(
    {
        *("documents.docs", "documents.document", "front.config", "front.page"),
        *("operations.health", "operations.ready"),
    }
)
METRICS: Final = frozenset({"operations.metrics", "operations.metrics_summary"})
PICTURES: Final = frozenset({"indices.picture", "indices.thumbnail"})
# Of what is not asked for with GET; whatever is not here needs the scope "write".
SCOPES: Final[Mapping[str, Scope]] = {
    "compat.knn": "read",
    "compat.metadata": "read",
    "maps.map_": "read",
    "search.search": "read",
}
# One search shows some forty of them.
PICTURE_COST: Final = 0.1
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Admission:
    """Asked before each request; raises what keeps it out. Thread-safe."""

    def __init__(self, services: Services, rates: RateTable) -> None:
        self._settings = services.settings
        self._keys = services.keys
        self._links = services.links
        self._rates = rates

    def __call__(self) -> None:
        endpoint = request.endpoint
        # A browser that asks whether it may call sends no key along.
        if request.method == "OPTIONS" or endpoint in OPEN:
            return
        # First, so that it also slows those who try keys.
        self._count(f"address {_neighbourhood(request)}", self._settings.rate_per_address)
        scope = scope_of(endpoint, request.path, request.method)
        if scope is None or (endpoint in METRICS and self._settings.public_metrics):
            return
        if self._keys is not None:
            self._check_key(scope)
        elif scope == "admin":
            check_local(request, bound=self._settings.host)

    def _check_key(self, scope: Scope) -> None:
        assert self._keys is not None and self._links is not None
        given = key_of(request)
        if given is None and request.endpoint in PICTURES and SIGNATURE in request.args:
            item = request.view_args or {}
            self._links.check(
                item["name"],
                item["id_"],
                until=request.args.get(UNTIL, ""),
                signature=request.args[SIGNATURE],
            )
            return
        if given is None:
            raise Unauthorized(
                "a key is needed here",
                remedy=f"send it as 'Authorization: Bearer KEY' or as '{KEY_HEADER}: KEY'",
            )
        key = self._keys.find(given)
        self._count(f"key {key.id}", key.rate)
        if scope not in key.scopes:
            raise Forbidden(
                f"that needs a key with the scope {scope!r}", value=", ".join(key.scopes)
            )

    def _count(self, name: str, rate: Rate | None) -> None:
        if rate is None:
            return
        cost = PICTURE_COST if request.endpoint in PICTURES else 1.0
        wait = self._rates.admit(name, rate, cost=cost)
        if wait:
            raise RateLimited(
                f"that is more often than {rate}",
                retry_after_s=wait,
                remedy=f"come again in {wait:.3g} s",
            )


def scope_of(endpoint: str | None, path: str, method: str) -> Scope | None:
    """What a key must allow for a request; None: that needs no key."""
    if endpoint is None or endpoint in OPEN:
        return None
    if path.startswith(ADMIN):
        return "admin"
    return "read" if method in ("GET", "HEAD") else SCOPES.get(endpoint, "write")


def key_of(asked: Request) -> str | None:
    """The key that a request carries."""
    scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return asked.headers.get(KEY_HEADER)


def check_local(asked: Request, *, bound: str) -> None:
    """Raise ``Forbidden`` unless a program of this machine asks, or the server's own page.

    A web site can make a browser on this machine ask: then the browser says so, in ``Origin`` or
    ``Sec-Fetch-Site``. Where the site's name was made to lead here, ``Host`` still has that name.
    """
    address = address_of(asked.remote_addr)
    if asked.environ.get(FORWARDED) or address is None or not address.is_loopback:
        raise Forbidden(
            "that is answered to this machine itself only",
            value=asked.remote_addr,
            remedy="give the server a --keys-file, and send a key with the scope 'admin'",
        )
    host = asked.headers.get("Host", "")
    if _name(host) not in _LOCAL_NAMES | {bound} - {"0.0.0.0", "::"}:
        raise Forbidden("the server is not known by that name", value=host)
    origin = asked.headers.get("Origin", f"{asked.scheme}://{host}")
    site = asked.headers.get("Sec-Fetch-Site", "none")
    if origin != f"{asked.scheme}://{host}" or site not in ("same-origin", "none"):
        raise Forbidden("pages of other origins may not do that", value=origin)


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _neighbourhood(asked: Request) -> str:
    """The address of a client; of version 6 the network that one client has to itself."""
    address = address_of(asked.remote_addr)
    if isinstance(address, IPv6Address):
        return address.exploded[:19]
    return str(address or asked.remote_addr)
