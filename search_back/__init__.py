"""Search your own pictures by words, by pictures, by addresses.

Importing this package is cheap: names load what they need when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from search_back.errors import SearchBackError as SearchBackError
    from search_back.types import Query as Query

_PUBLIC = {
    "SearchBackError": "search_back.errors",
    "Query": "search_back.types",
    "Page": "search_back.types",
    "Hit": "search_back.types",
}
__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
