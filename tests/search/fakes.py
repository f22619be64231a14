"""What an engine works on, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from search_back.errors import UnknownId
from search_back.interfaces import MetadataStore, VectorIndex
from search_back.types import EncoderIdentity, FloatArray, IdArray, IdMask, Modality


class ArrayIndex:
    """Exact search in numpy; ``noise``: what it returns beside results, as real ones may."""

    kind = "array"

    def __init__(self, vectors: FloatArray, noise: Sequence[int] = ()) -> None:
        self.vectors = vectors
        self.noise = list(noise)
        self.asked_by: list[Modality | None] = []

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.vectors)

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        among: IdMask | None = None,
        asked_by: Modality | None = None,
    ) -> tuple[FloatArray, IdArray]:
        self.asked_by.append(asked_by)
        scores = queries @ self.vectors.T
        if among is not None:
            # Ids that may not be found come as padding, at the end.
            scores = np.where(among.passing, scores, np.float32(-9))
        ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, ids, 1)
        ids = np.where(best == -9, -1, ids)
        extra = np.array([self.noise] * len(queries), dtype=np.int64).reshape(len(queries), -1)
        low = np.full(extra.shape, -9, dtype=np.float32)
        return np.concatenate([best, low], 1), np.concatenate([ids, extra], 1)

    def reconstruct(self, ids: IdArray) -> FloatArray:
        if len(ids) and (ids.min() < 0 or ids.max() >= len(self)):
            raise UnknownId("no such id", value=ids.tolist())
        return self.vectors[ids]

    def close(self) -> None: ...


class TableStore:
    """A metadata store of a table; ``taken``: the rows and columns of every call."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.taken: list[tuple[int, tuple[str, ...] | None]] = []

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def take(self, ids: IdArray, columns: Sequence[str] | None = None) -> pa.Table:
        self.taken.append((len(ids), None if columns is None else tuple(columns)))
        table = self.table if columns is None else self.table.select(list(columns))
        return table.take(pa.array(ids, pa.int64()))

    def close(self) -> None: ...


@dataclass
class FakeSnapshot:
    indices: Mapping[Modality, VectorIndex]
    metadata: MetadataStore
    identity: EncoderIdentity | None = None
    name: str = "things"
    version: str = "1"


@dataclass
class Steps:
    """Records which steps were timed."""

    seen: list[str] = field(default_factory=list)

    def __call__(self, step: str) -> nullcontext[None]:
        self.seen.append(step)
        return nullcontext()
