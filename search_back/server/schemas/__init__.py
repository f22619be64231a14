"""What comes in and goes out over HTTP, as pydantic models: checked here, told in the OpenAPI."""

from search_back.server.schemas.bodies import Body, InvalidBody, Pictures, parse
from search_back.server.schemas.compat import KnnRequest, MetadataRequest
from search_back.server.schemas.maps import MapRequest
from search_back.server.schemas.search import SearchRequest, TermModel

__all__ = [
    "Body",
    "InvalidBody",
    "KnnRequest",
    "MapRequest",
    "MetadataRequest",
    "Pictures",
    "SearchRequest",
    "TermModel",
    "parse",
]
