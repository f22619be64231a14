"""Fetching pictures from addresses that strangers give.

::

    fetcher     an address → bytes: what is allowed, redirects, sizes, the deadline
    addresses   which numeric addresses are refused, and why
    pinned      connections to an address that was checked, within a deadline
"""

from search_back.fetch.fetcher import Fetcher, system_resolver

__all__ = ["Fetcher", "system_resolver"]
