"""Embeddings of what people rated 0 to 9, as the LAION project publishes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from search_back.config import PinnedFile
from search_back.errors import BadFolder, ConfigError, CorruptFile, DimensionMismatch
from search_back.services.heads.pinned import read_array, read_pinned
from search_back.types import FloatArray

SCORES: Final = 10


def load_aesthetics(source: PinnedFile, *, dimension: int) -> Mapping[int, FloatArray]:
    """By score, ``(d,)`` float32: what ``aesthetic_score`` adds to a query.

    ``source``: a folder of ``rating0.npy`` … ``rating9.npy``, which may lack some, or a ``.npy``
    file of ten rows. Raises ``BadFolder``, ``ConfigError``, ``CorruptFile`` or
    ``DimensionMismatch``, which name the file.
    """
    if not source.path.is_dir():
        rows = read_array(source.path, read_pinned(source))
        if rows.ndim != 2 or len(rows) != SCORES:
            raise CorruptFile(
                f"{source.path} should hold an embedding for each score, {SCORES} rows",
                value=f"shape {rows.shape}",
            )
        return {score: _checked(source.path, row, dimension) for score, row in enumerate(rows)}
    if source.sha256 is not None:
        raise ConfigError(
            "a sha256 is of one file, this is a folder",
            value=str(source.path),
            remedy=f"give one .npy file of {SCORES} rows",
        )
    found = {}
    for path in sorted(source.path.iterdir()):
        if named := re.fullmatch(r"rating([0-9])\.npy", path.name):
            values = read_array(path, read_pinned(PinnedFile(path)))
            row = values[0] if values.ndim == 2 and len(values) == 1 else values
            found[int(named[1])] = _checked(path, row, dimension)
    if not found:
        raise BadFolder(
            "the folder holds no aesthetic embeddings",
            value=str(source.path),
            remedy="it should hold rating0.npy … rating9.npy",
        )
    return found


def _checked(path: Path, row: FloatArray, dimension: int) -> FloatArray:
    if row.shape != (dimension,):
        raise DimensionMismatch(
            f"the index holds {dimension}-d vectors",
            value=f"shape {row.shape} in {path}",
            remedy="give the aesthetic embeddings of the encoder of that index",
        )
    return row
