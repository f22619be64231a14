"""An index described: for clients that build their forms from it, and for its operator."""

from __future__ import annotations

from typing import Any

from search_back.errors import SearchBackError
from search_back.services import IndexService


def describe(index: IndexService) -> dict[str, Any]:
    """Size, dimension, encoder, recall as measured, columns and their types.

    An index that cannot be served says why, in ``problem``, and nothing else.
    """
    try:
        snapshot = index.snapshot
    except SearchBackError as error:
        return {"name": index.name, "status": "unavailable", "problem": str(error)}
    measured = index.manifest.get("indices", {})
    encoder = snapshot.identity
    return {
        "name": index.name,
        "status": "limited" if index.encoder_problem else "ready",
        "problem": index.encoder_problem,
        "version": snapshot.version,
        "size": len(snapshot.metadata),
        "modalities": {
            modality: {
                "size": len(vectors),
                "dimension": vectors.dimension,
                "kind": vectors.kind,
                "measured": measured.get(modality, {}).get("measured"),
            }
            for modality, vectors in snapshot.indices.items()
        },
        "encoder": index.model if encoder is None else encoder.to_json(),
        "columns": [
            {
                "name": field.name,
                "type": str(field.type),
                "returned": field.name in index.options.columns_to_return,
            }
            for field in snapshot.metadata.schema
        ],
        "has_pictures": bool(index.picture_columns),
        "wishes": list(index.wishes),
    }


def readiness(index: IndexService) -> dict[str, Any]:
    """Whether an index answers, and what keeps it from it."""
    problem = index.problem
    if problem is not None:
        return {"status": "failed", "problem": problem}
    if not index.is_open:
        waits = index.options.open_on_first_query
        return {"status": "unopened" if waits else "opening", "problem": None}
    if index.encoder_problem:
        return {"status": "limited", "problem": index.encoder_problem}
    return {"status": "ready", "problem": None}
