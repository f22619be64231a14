"""The engine: from a query to a page of results. Sees Protocols only."""

from search_back.search.compose import check_encoder
from search_back.search.engine import SearchEngine
from search_back.search.syntax import Part, parse_query, parts_of

__all__ = ["Part", "SearchEngine", "check_encoder", "parse_query", "parts_of"]
