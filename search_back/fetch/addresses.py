"""Which network addresses a server may connect to on a stranger's word."""

from __future__ import annotations

import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA's special-purpose registries (RFC 6890 and successors), then what clouds add to them. The
# first match counts. True: an intranet may mean it, so allow_private_addresses lifts it. The
# others never hold pictures: they hand out a cloud's credentials, or hide an IPv4 address.
_RULES: Final[tuple[tuple[Network, str, bool], ...]] = tuple(
    (ipaddress.ip_network(network), name, lifted)
    for network, name, lifted in (
        ("0.0.0.0/8", "an unspecified address", False),
        ("10.0.0.0/8", "a private network", True),
        ("100.100.100.200/32", "a cloud's metadata service", False),
        ("100.64.0.0/10", "a carrier's shared network", True),
        ("127.0.0.0/8", "the server itself (loopback)", True),
        ("168.63.129.16/32", "a cloud's metadata service", False),
        ("169.254.0.0/16", "a link-local address", False),
        ("172.16.0.0/12", "a private network", True),
        ("192.0.0.0/24", "a protocol assignment", False),
        ("192.0.2.0/24", "a documentation network", True),
        ("192.88.99.0/24", "a 6to4 relay", False),
        ("192.168.0.0/16", "a private network", True),
        ("198.18.0.0/15", "a benchmarking network", True),
        ("198.51.100.0/24", "a documentation network", True),
        ("203.0.113.0/24", "a documentation network", True),
        ("224.0.0.0/4", "a multicast address", False),
        ("240.0.0.0/4", "a reserved address", False),
        ("::/128", "an unspecified address", False),
        ("::1/128", "the server itself (loopback)", True),
        ("::ffff:0:0/96", "an IPv4-mapped address", False),
        ("::/96", "an IPv4-compatible address", False),
        ("64:ff9b::/96", "a NAT64 address", False),
        ("64:ff9b:1::/48", "a NAT64 address", False),
        ("100::/64", "a discard-only address", False),
        ("2001::/32", "a Teredo address", False),
        ("2001::/23", "a protocol assignment", False),
        ("2001:db8::/32", "a documentation network", True),
        ("2002::/16", "a 6to4 address", False),
        ("3fff::/20", "a documentation network", True),
        ("fd00:ec2::254/128", "a cloud's metadata service", False),
        ("fc00::/7", "a private network", True),
        ("fe80::/10", "a link-local address", False),
        ("fec0::/10", "a site-local address", False),
        ("ff00::/8", "a multicast address", False),
    )
)
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")


def refusal(address: str, *, allow_private: bool = False) -> str | None:
    """Why a numeric address may not be connected to; None where it may.

    Public unicast addresses are allowed; with ``allow_private`` also the networks of an intranet.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "not an address"
    for network, name, lifted in _RULES:
        if ip.version == network.version and ip in network:
            return None if lifted and allow_private else f"{name} ({network})"
    if not ip.is_global or (ip.version == 6 and ip not in _GLOBAL_UNICAST):
        return "not a public address"
    return None
