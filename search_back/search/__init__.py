"""The engine: from a query to a page of results. Sees Protocols only."""

from search_back.search.compose import check_encoder
from search_back.search.engine import SearchEngine

__all__ = ["SearchEngine", "check_encoder"]
