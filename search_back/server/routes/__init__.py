"""The routes, one module for each reason to change."""

from search_back.server.routes.compat import compat_blueprint
from search_back.server.routes.documents import documents_blueprint
from search_back.server.routes.indices import indices_blueprint
from search_back.server.routes.maps import maps_blueprint
from search_back.server.routes.operations import operations_blueprint
from search_back.server.routes.search import search_blueprint

__all__ = [
    "compat_blueprint",
    "documents_blueprint",
    "indices_blueprint",
    "maps_blueprint",
    "operations_blueprint",
    "search_blueprint",
]
