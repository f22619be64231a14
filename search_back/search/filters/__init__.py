"""Filters on metadata: their language, the rows that pass, how to search among them, and facets."""

from search_back.search.filters.exact import exact_nearest
from search_back.search.filters.facets import facet_counts
from search_back.search.filters.filter import Filter
from search_back.search.filters.masks import FilterCache, passing
from search_back.search.filters.parser import FilterLimits, parse
from search_back.search.filters.planner import Plan, plan

__all__ = [
    "Filter",
    "FilterCache",
    "FilterLimits",
    "Plan",
    "exact_nearest",
    "facet_counts",
    "parse",
    "passing",
    "plan",
]
