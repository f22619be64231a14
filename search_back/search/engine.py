"""One index's search engine: ``search(Query) -> Page``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from search_back import deadlines
from search_back.errors import InputError
from search_back.interfaces import (
    CacheObserver,
    Encoder,
    Snapshot,
    StepTimer,
    nobody_looks,
    vectors_of,
)
from search_back.search.aesthetics import AESTHETIC_SCORE, draw_towards
from search_back.search.compose import Composed, compose
from search_back.search.cursor import CursorSeal, query_hash
from search_back.search.filters import FilterCache, facet_counts, parse
from search_back.search.paging import Pager, Section
from search_back.search.ranking import Ranker
from search_back.search.result_cache import ResultCache
from search_back.search.screening import Detector
from search_back.types import (
    FloatArray,
    IdMask,
    ImageTerm,
    ItemTerm,
    Modality,
    Page,
    Query,
    Term,
    TextTerm,
)

_MASK_BYTES: Final = 64 << 20


class SearchEngine:
    """Answers queries on whatever snapshot is current when a query comes in.

    ``snapshot`` and ``encoder`` are called once a query, so a new index or model is taken up by
    the next one while those under way finish on the old. ``text_encoders``: by the wish that asks
    for it, another encoder for a query's words; each gives None where it cannot be had.
    ``detectors``: by wish, what leaves hits out. ``rated``: by score, the embedding that
    ``aesthetic_score`` draws a query towards. ``secret``: shared by engines that take each other's
    cursors. Safe to call from several threads.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        encoder: Callable[[], Encoder],
        timer: StepTimer,
        *,
        text_encoders: Mapping[str, Callable[[], Encoder | None]] | None = None,
        detectors: Mapping[str, Detector] | None = None,
        rated: Mapping[int, FloatArray] | None = None,
        secret: bytes | None = None,
        masks_observer: CacheObserver = nobody_looks,
        results_observer: CacheObserver = nobody_looks,
    ) -> None:
        self._snapshot = snapshot
        self._encoder = encoder
        self._timer = timer
        self._text_encoders = text_encoders or {}
        self._detectors = detectors or {}
        self._rated = rated or {}
        self._masks = FilterCache(_MASK_BYTES, masks_observer)
        self._pager = Pager(ResultCache(observer=results_observer), CursorSeal(secret))

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot()

    def search(self, query: Query) -> Page:
        """The page for a query. Raises ``InputError`` for one that cannot be answered."""
        if query.k < 1:
            raise InputError("k must be at least 1", value=query.k)
        snapshot = self._snapshot()
        index = vectors_of(snapshot, query.modality)
        texts, ignored = self._wished(query)
        composed = _Once(
            lambda: compose(
                query,
                snapshot=snapshot,
                index=index,
                encoder=self._encoder,
                timer=self._timer,
                texts=texts,
            )
        )
        ranker = Ranker(
            query,
            lambda: self._ready(composed().vector, query),
            detectors=[self._detectors[wish] for wish in query.wishes if wish in self._detectors],
            snapshot=snapshot,
            index=index,
            mask=self._mask(snapshot, query),
            asked_by=_asked_by(query),
            timer=self._timer,
        )
        if query.fill or query.cursor is not None:
            section = self._pager.page(
                ranker.beginning,
                version=f"{snapshot.name} {snapshot.version}",
                query=query_hash(query, texts=texts.identity.key if texts else None),
                k=query.k,
                cursor=query.cursor,
            )
        else:
            composed()  # A query that cannot be composed is refused in any case.
            ranking = ranker.nearest(query.k)
            section = Section(ranking.similarities, ranking.ids, 0, None)
        ids = section.ids
        shown = ids if query.metadata_k is None else ids[: max(0, query.metadata_k)]
        with self._timer("metadata_get_time"):
            metadata = snapshot.metadata.take(shown, _columns(snapshot, query))
        facets = facet_counts(snapshot.metadata, query.facets, ids) if query.facets else {}
        return Page(
            ids=ids.astype(np.int64, copy=False),
            similarities=section.similarities,
            metadata=metadata,
            ignored=ignored,
            cut_texts=composed().cut_texts if composed.done else 0,
            facets=facets,
            offset=section.offset,
            next=section.next,
        )

    def _ready(self, vector: FloatArray, query: Query) -> FloatArray:
        """The query, drawn towards what people rated as it asks; while there is time left."""
        deadlines.check("the index was searched")
        rated = None if (score := query.aesthetic_score) is None else self._rated.get(score)
        return vector if rated is None else draw_towards(vector, rated, query.aesthetic_weight)

    def _mask(self, snapshot: Snapshot, query: Query) -> IdMask | None:
        """The ids that pass the filter; None where all may be found."""
        if query.filter is None:
            return None
        filter_ = parse(query.filter, snapshot.metadata.schema)
        mask = self._masks.passing(
            filter_, snapshot.metadata, version=(snapshot.name, snapshot.version)
        )
        return None if mask.count == mask.rows else mask

    def _wished(self, query: Query) -> tuple[Encoder | None, tuple[str, ...]]:
        """The encoder that the query wishes for its words, and the wishes that come to nothing."""
        found: Encoder | None = None
        ignored = []
        for wish in query.wishes:
            if wish in self._detectors:
                continue
            make = self._text_encoders.get(wish)
            if make is None:
                ignored.append(wish)
            elif any(isinstance(term, TextTerm) for term in query.terms):
                encoder = make()
                found = encoder or found
                if encoder is None:
                    ignored.append(wish)
        if query.aesthetic_score is not None and query.aesthetic_score not in self._rated:
            ignored.append(AESTHETIC_SCORE)
        return found, tuple(ignored)


class _Once:
    """A value that is made when it is first asked for."""

    def __init__(self, make: Callable[[], Composed]) -> None:
        self._make = make
        self._value: Composed | None = None

    @property
    def done(self) -> bool:
        return self._value is not None

    def __call__(self) -> Composed:
        if self._value is None:
            self._value = self._make()
        return self._value


def _asked_by(query: Query) -> Modality | None:
    """What all terms are made of; None where they differ, or nobody can tell."""
    kinds = {_kind(term, query.modality) for term in query.terms}
    return kinds.pop() if len(kinds) == 1 else None


def _kind(term: Term, modality: Modality) -> Modality | None:
    if isinstance(term, ItemTerm):
        return modality  # an item's vector is one of those that are searched
    if isinstance(term, TextTerm):
        return "text"
    return "image" if isinstance(term, ImageTerm) else None


def _columns(snapshot: Snapshot, query: Query) -> list[str] | None:
    if query.columns is None:
        return None
    there = set(snapshot.metadata.schema.names)
    return [c for c in query.columns if c in there]
