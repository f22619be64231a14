"""Entries to rows and vectors: decoded in threads ahead of the encoder, in order, in bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search_back.inference.bounded import bounded_map
from search_back.inference.digests import First
from search_back.inference.items import Mark, Row, Why
from search_back.inference.plan import Plan
from search_back.inference.prepare import Prepared, prepare
from search_back.inference.report import Failure
from search_back.inference.source import Placed
from search_back.interfaces import Encoder
from search_back.types import FloatArray
from search_back.vectors import HalfArray

# Few enough to fill every core to the end, enough for captions of like length to run together.
_GROUP: Final = 32
# Entries of a batch for each that the encoder may have in it.
_MOST: Final = 4


class Marked(NamedTuple):
    """A picture with a mark, its row in the batch, and the failure that cost it its row."""

    mark: Mark
    key: str
    row: int | None
    failure: int | None


@dataclass(slots=True, eq=False)
class Batch:
    """Consecutive entries, encoded.

    ``image``, ``text``: ``(n, d)`` float32, unit rows, one for each of ``rows``, float16 where they
    are to be stored as they are; None where not asked for. ``items``: how many were looked into;
    ``skipped``: how many entries were passed over, and why; ``taken``: how many entries it holds
    of each unit, by the unit's number.

    ``marked``: pictures with a mark, in order; the ``image`` rows of copies are zero until they are
    filled in. Then ``firsts`` are those that are no copies, and ``duplicates`` of the rows are.
    """

    rows: list[Row]
    image: FloatArray | HalfArray | None
    text: FloatArray | None
    failures: list[Failure]
    items: int
    skipped: Counter[Why]
    taken: Counter[int]
    marked: list[Marked] = field(default_factory=list)
    firsts: list[First] = field(default_factory=list)
    duplicates: int = 0


def batches(
    entries: Iterable[Placed],
    encoder: Encoder,
    plan: Plan,
    *,
    batch_size: int,
    workers: int,
    text_encoder: Encoder | None = None,
) -> Generator[Batch, None, None]:
    """Encode entries in batches, in order. Close it, or exhaust it.

    Which entries share a batch depends on nothing but their order from the first one on, so a run
    that goes on behind a whole batch makes the same vectors as one that was never stopped.

    Where one call of the encoder takes one core, every worker decodes and encodes a few items of
    its own. Otherwise the pool decodes the next batch while the encoder has the last.
    ``text_encoder``: for the captions, where it is not ``encoder``.
    """
    texts = text_encoder or encoder
    if encoder.runtime.threads == texts.runtime.threads == 1:
        return bounded_map(
            lambda group: _alone(group, encoder, texts, plan),
            _groups(entries, min(batch_size, _GROUP)),
            workers=workers,
            look_ahead=2 * workers,
        )
    return _decoded_ahead(entries, encoder, texts, plan, batch_size=batch_size, workers=workers)


def _groups(entries: Iterable[Placed], size: int) -> Generator[list[Placed], None, None]:
    """Each of ``size`` entries, copies not counted as long as they are not too many."""
    group: list[Placed] = []
    work = 0
    for placed in entries:
        group.append(placed)
        work += placed.mark is None or not placed.mark.is_copy
        if work == size or len(group) == _MOST * size:
            yield group
            group, work = [], 0
    if group:
        yield group


def _alone(group: list[Placed], encoder: Encoder, texts: Encoder, plan: Plan) -> Batch:
    seen = [prepare(placed, encoder, plan) for placed in group]
    return _encode(
        [result for result in seen if result.row is not None], seen, encoder, texts, plan
    )


def _decoded_ahead(
    entries: Iterable[Placed],
    encoder: Encoder,
    texts: Encoder,
    plan: Plan,
    *,
    batch_size: int,
    workers: int,
) -> Generator[Batch, None, None]:
    results = bounded_map(
        lambda placed: prepare(placed, encoder, plan),
        entries,
        workers=workers,
        look_ahead=batch_size + 2 * workers,
    )
    try:
        kept: list[Prepared] = []
        seen: list[Prepared] = []
        work = 0
        for result in results:
            seen.append(result)
            if result.row is not None:
                kept.append(result)
                work += not result.is_copy
            # Failures are handed on too, so that a limit on them acts without a full batch.
            if work == batch_size or len(seen) >= _MOST * batch_size:
                yield _encode(kept, seen, encoder, texts, plan)
                kept, seen, work = [], [], 0
        if seen:
            yield _encode(kept, seen, encoder, texts, plan)
    finally:
        results.close()


def _encode(
    kept: list[Prepared], seen: list[Prepared], encoder: Encoder, texts: Encoder, plan: Plan
) -> Batch:
    failures: list[Failure] = []
    for result in seen:
        failures += result.failures
        # Of a picture, the last one: what follows it is not looked at.
        result.lost = len(failures) - 1 if result.mark and result.row is None else None
    rows = [result.row for result in kept if result.row is not None]
    image = text = None
    usable = np.ones(len(rows), dtype=np.bool_)
    if rows and plan.image:
        image = _encode_pictures(kept, encoder)
        copies = np.fromiter((result.is_copy for result in kept), np.bool_, len(kept))
        usable = np.logical_or(_usable(image), copies)
    if rows and plan.text:
        text = texts.encode_texts([row.caption or "" for row in rows])
        assert text.shape == (len(rows), encoder.identity.dimension), text.shape
        usable = np.logical_and(usable, _usable(text))
    for i in np.flatnonzero(np.logical_not(usable)).tolist():
        kept[i].lost = len(failures)
        reason = "its embedding is zero, infinite or NaN"
        failures.append(Failure(kept[i].key, "encode", reason))
    return Batch(
        rows=[row for row, good in zip(rows, usable.tolist(), strict=True) if good],
        image=None if image is None else image[usable],
        text=None if text is None else text[usable],
        failures=failures,
        items=sum(result.is_item for result in seen),
        skipped=Counter(result.skipped for result in seen if result.skipped),
        taken=Counter(result.unit for result in seen),
        marked=list(_marked(seen)),
    )


def _encode_pictures(kept: list[Prepared], encoder: Encoder) -> FloatArray:
    """``(n, d)`` for n rows; those of copies are zero."""
    pixels = [result.pixels for result in kept if result.pixels is not None]
    dimension = encoder.identity.dimension
    if not pixels:
        return np.zeros((len(kept), dimension), np.float32)
    vectors = encoder.encode_pixels(np.stack(pixels))
    assert vectors.shape == (len(pixels), dimension), vectors.shape
    if len(pixels) == len(kept):
        return vectors
    image = np.zeros((len(kept), dimension), np.float32)
    image[[result.pixels is not None for result in kept]] = vectors
    return image


def _marked(seen: list[Prepared]) -> Generator[Marked, None, None]:
    row = 0
    for result in seen:
        is_kept = result.row is not None and result.lost is None
        if result.mark is not None:
            yield Marked(result.mark, result.key, row if is_kept else None, result.lost)
        row += is_kept


def _usable(vectors: FloatArray) -> NDArray[np.bool_]:
    return np.logical_and(np.isfinite(vectors).all(axis=1), vectors.any(axis=1))
