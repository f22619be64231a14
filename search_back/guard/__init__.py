"""Who may ask, and how often: keys, signed addresses of pictures, rates.

Knows nothing of HTTP; :mod:`search_back.server.admission` asks it about each request.
"""

from search_back.guard.keys import SCOPES, Key, KeyRing, Scope, add_key, read_keys, remove_key
from search_back.guard.links import Links
from search_back.guard.rates import RateTable

__all__ = [
    "SCOPES",
    "Key",
    "KeyRing",
    "Links",
    "RateTable",
    "Scope",
    "add_key",
    "read_keys",
    "remove_key",
]
