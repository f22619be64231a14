"""Talking to a server from Python."""

from search_back.clients.compat import ClipClient, Modality
from search_back.clients.http import SearchClient, SearchError
from search_back.clients.results import Found, FoundHit

__all__ = ["ClipClient", "Found", "FoundHit", "Modality", "SearchClient", "SearchError"]
