"""Metadata by id, from Parquet, Arrow IPC or HDF5; :func:`open_metadata` chooses.

A store takes rows of columns in the order asked for, from files that may be larger than memory,
and never changes a file it did not write.
"""

from search_back.metadata.none import NoMetadata
from search_back.metadata.registry import MetadataKind, open_metadata

__all__ = ["MetadataKind", "NoMetadata", "open_metadata"]
