"""Vector indices: choosing, building, tuning, and searching them with faiss."""

from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.graph import graph_path
from search_back.index.integrity import check_seal
from search_back.index.ivf_order import ivf_order
from search_back.index.plan import SearchPlan, SearchSettings

__all__ = [
    "FaissIndex",
    "SearchPlan",
    "SearchSettings",
    "check_seal",
    "graph_path",
    "ivf_order",
    "open_index",
]
