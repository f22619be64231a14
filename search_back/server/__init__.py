"""HTTP: a thin translator between JSON and the search engine.

A route reads a request into a ``Query``, asks the engine, and writes the page as JSON. It knows
no faiss and no model. Names that old clients use (``indice_name``) live in ``schemas`` only.
"""

from search_back.server.app import create_app

__all__ = ["create_app"]
