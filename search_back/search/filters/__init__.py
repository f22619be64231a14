"""Filters on metadata: their language, the rows that pass, and facets."""

from search_back.search.filters.facets import facet_counts
from search_back.search.filters.filter import Filter
from search_back.search.filters.masks import FilterCache, passing
from search_back.search.filters.parser import FilterLimits, parse

__all__ = [
    "Filter",
    "FilterCache",
    "FilterLimits",
    "facet_counts",
    "parse",
    "passing",
]
