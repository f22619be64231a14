"""From the nearest neighbours of a query to its hits: cut, deduplicated, reordered, grouped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from search_back.errors import InvalidField
from search_back.interfaces import Snapshot, StepTimer, VectorIndex
from search_back.search.dedup import by_value, first_of_each
from search_back.search.diversity import LIMIT, mmr
from search_back.search.grouping import group
from search_back.search.knn import nearest
from search_back.search.paging import settled
from search_back.search.result_cache import Ranking
from search_back.search.screening import Detector, screen
from search_back.search.threshold import above, falling, rescored
from search_back.types import FloatArray, IdArray, IdMask, Modality, Query
from search_back.vectors import normalise

MAX_CANDIDATES: Final = 1_000_000
"""How many neighbours are looked at for one query, at most."""


class Ranker:
    """Ranks one query on one snapshot, by as many candidates as are asked for.

    ``vector`` gives the composed query; it is called only where there is something to find.
    ``mask``: the ids that pass the filter, None without one. ``detectors``: what leaves hits out.
    For one thread.
    """

    def __init__(
        self,
        query: Query,
        vector: Callable[[], FloatArray],
        *,
        snapshot: Snapshot,
        index: VectorIndex,
        mask: IdMask | None,
        detectors: Sequence[Detector] = (),
        asked_by: Modality | None,
        timer: StepTimer,
    ) -> None:
        self._query = query
        self._vector = vector
        self._metadata = snapshot.metadata
        self._index = index
        self._mask = mask
        self._detectors = detectors
        self._asked_by = asked_by
        self._timer = timer
        # What these make of a hit hangs on those behind it, so they always see as many.
        self._whole = query.diversity > 0 or (query.group_by is not None and query.per_group > 1)

    def nearest(self, k: int) -> Ranking:
        """What is left over of the k nearest."""
        similarities, ids = self._neighbours(k)
        similarities, ids, complete = self._hits(similarities, ids, k)
        return Ranking(similarities, ids, k, complete)

    def beginning(self, candidates: int) -> Ranking:
        """The first hits; those of more candidates begin with those of fewer."""
        if self._whole:
            candidates = max(candidates, LIMIT)
        candidates = min(candidates, MAX_CANDIDATES)
        similarities, ids = self._neighbours(candidates)
        similarities, ids, all_ = settled(similarities, ids, candidates=candidates)
        similarities, ids, cut = self._hits(similarities, ids, candidates)
        last = candidates == MAX_CANDIDATES or (self._whole and self._query.per_group > 1)
        return Ranking(similarities, ids, candidates, all_ or cut or last)

    def _neighbours(self, k: int) -> tuple[FloatArray, IdArray]:
        mask = self._mask
        if mask is not None and not mask.count:
            return np.empty(0, np.float32), np.empty(0, np.int64)
        vector = self._vector()
        with self._timer("knn_index_time"):
            return nearest(self._index, vector, k, among=mask, asked_by=self._asked_by)

    def _hits(
        self, similarities: FloatArray, ids: IdArray, candidates: int
    ) -> tuple[FloatArray, IdArray, bool]:
        """The hits among neighbours, and whether the threshold says that there are no more."""
        query, cut = self._query, False
        if self._detectors and len(ids):
            with self._timer("safety_time"):
                keep = screen(self._detectors, self._index, ids)
            similarities, ids = similarities[keep], ids[keep]
        if query.threshold is not None and len(ids):
            similarities, ids = falling(rescored(self._index, self._vector(), ids), ids)
            count = above(similarities, query.threshold)
            cut = count < len(ids)
            similarities, ids = similarities[:count], ids[:count]
        if len(ids) < 2:
            return similarities, ids, cut
        if query.deduplicate:
            with self._timer("dedup_time"):
                keep = first_of_each(normalise(self._index.reconstruct(ids)))
            similarities, ids = similarities[keep], ids[keep]
        if query.deduplicate_by is not None:
            keep = by_value(self._column("deduplicate_by", query.deduplicate_by, ids))
            similarities, ids = similarities[keep], ids[keep]
        if query.diversity:
            near = normalise(self._index.reconstruct(ids[:LIMIT]))
            keep = mmr(similarities, near, diversity=query.diversity, k=len(ids))
            similarities, ids = similarities[keep], ids[keep]
        if query.group_by is not None:
            values = self._column("group_by", query.group_by, ids)
            keep = group(values, per_group=query.per_group, k=candidates).positions
            similarities, ids = similarities[keep], ids[keep]
        return similarities, ids, cut

    def _column(self, field: str, name: str, ids: IdArray) -> pa.ChunkedArray:
        if name not in self._metadata.schema.names:
            raise InvalidField(
                field,
                "there is no such metadata column",
                value=name,
                remedy=f"there are: {', '.join(self._metadata.schema.names) or 'none'}",
            )
        return self._metadata.take(ids, [name]).column(0)
