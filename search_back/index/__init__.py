"""Vector indices: choosing, building, tuning, and searching them with faiss."""

from search_back.index.faiss_index import FaissIndex, SearchSettings, open_index
from search_back.index.ivf_order import ivf_order

__all__ = ["FaissIndex", "SearchSettings", "ivf_order", "open_index"]
