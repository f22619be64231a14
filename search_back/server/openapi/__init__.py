"""The HTTP API told in OpenAPI 3.1.

::

    document    from the operations and the models to one JSON document
    operations  every route: what it is for, takes and answers
    parts       the values that describe one
"""

from search_back.server.openapi.document import openapi

__all__ = ["openapi"]
