"""One index's search engine: ``search(Query) -> Page``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from search_back.errors import InputError, NoSuchModality
from search_back.interfaces import Encoder, Snapshot, StepTimer, VectorIndex
from search_back.search.compose import compose
from search_back.search.dedup import first_of_each
from search_back.search.knn import nearest
from search_back.types import Page, Query, TextTerm
from search_back.vectors import normalise


class SearchEngine:
    """Answers queries on whatever snapshot is current when a query comes in.

    ``snapshot`` and ``encoder`` are called once a query, so a new index or model is taken up by
    the next one while those under way finish on the old. ``text_encoders``: by the wish that asks
    for it, another encoder for a query's words; each gives None where it cannot be had. Safe to
    call from several threads.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        encoder: Callable[[], Encoder],
        timer: StepTimer,
        *,
        text_encoders: Mapping[str, Callable[[], Encoder | None]] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._encoder = encoder
        self._timer = timer
        self._text_encoders = text_encoders or {}

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot()

    def search(self, query: Query) -> Page:
        """The page for a query. Raises ``InputError`` for one that cannot be answered."""
        if query.k < 1:
            raise InputError("k must be at least 1", value=query.k)
        snapshot = self._snapshot()
        index = _index(snapshot, query)
        texts, ignored = self._wished(query)
        composed = compose(
            query,
            snapshot=snapshot,
            index=index,
            encoder=self._encoder,
            timer=self._timer,
            texts=texts,
        )
        with self._timer("knn_index_time"):
            similarities, ids = nearest(index, composed.vector, query.k)
        if query.deduplicate and len(ids) > 1:
            with self._timer("dedup_time"):
                keep = first_of_each(normalise(index.reconstruct(ids)))
            similarities, ids = similarities[keep], ids[keep]
        shown = ids if query.metadata_k is None else ids[: max(0, query.metadata_k)]
        with self._timer("metadata_get_time"):
            metadata = snapshot.metadata.take(shown, _columns(snapshot, query))
        return Page(
            ids=ids.astype(np.int64, copy=False),
            similarities=similarities,
            metadata=metadata,
            ignored=ignored,
            cut_texts=composed.cut_texts,
        )

    def _wished(self, query: Query) -> tuple[Encoder | None, tuple[str, ...]]:
        """The encoder that the query wishes for its words, and the wishes that come to nothing."""
        found: Encoder | None = None
        ignored = []
        for wish in query.wishes:
            make = self._text_encoders.get(wish)
            if make is None:
                ignored.append(wish)
            elif any(isinstance(term, TextTerm) for term in query.terms):
                encoder = make()
                found = encoder or found
                if encoder is None:
                    ignored.append(wish)
        return found, tuple(ignored)


def _index(snapshot: Snapshot, query: Query) -> VectorIndex:
    index = snapshot.indices.get(query.modality)
    if index is None:
        raise NoSuchModality(
            f"index {snapshot.name!r} holds no {query.modality} vectors",
            value=query.modality,
            remedy=f"use modality {' or '.join(snapshot.indices)}",
        )
    return index


def _columns(snapshot: Snapshot, query: Query) -> list[str] | None:
    if query.columns is None:
        return None
    there = set(snapshot.metadata.schema.names)
    return [c for c in query.columns if c in there]
