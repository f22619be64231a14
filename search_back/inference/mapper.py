"""Entries to rows and vectors: decoded in threads ahead of the encoder, in order, in bounds."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from search_back.errors import SearchBackError
from search_back.inference.bounded import bounded_map
from search_back.inference.items import (
    Blob,
    Row,
    Skipped,
    Why,
    decode_caption,
    decode_metadata,
)
from search_back.inference.plan import Plan
from search_back.inference.report import Failure, Stage
from search_back.inference.source import Placed
from search_back.interfaces import Encoder
from search_back.types import FloatArray

# Few enough to fill every core to the end, enough for captions of like length to run together.
_GROUP: Final = 32

In = TypeVar("In")
Found = TypeVar("Found")


@dataclass(slots=True)
class Prepared:
    """An entry, read and decoded. ``row`` is None where nothing of it is kept."""

    unit: int
    key: str = ""
    row: Row | None = None
    pixels: FloatArray | None = None
    failures: list[Failure] = field(default_factory=list)
    is_item: bool = False
    skipped: Why | None = None


@dataclass(slots=True, eq=False)
class Batch:
    """Consecutive entries, encoded.

    ``image``, ``text``: ``(n, d)`` float32, unit rows, one for each of ``rows``; None where not
    asked for. ``items``: how many were looked into; ``skipped``: how many entries were passed over,
    and why; ``taken``: how many entries it holds of each unit, by the unit's number.
    """

    rows: list[Row]
    image: FloatArray | None
    text: FloatArray | None
    failures: list[Failure]
    items: int
    skipped: Counter[Why]
    taken: Counter[int]


def prepare(placed: Placed, encoder: Encoder, plan: Plan) -> Prepared:
    """Read and decode one entry; whatever is wrong with it becomes a failure of its own.

    Caption first: where texts are embedded, a picture without one needs no decoding.
    """
    unit, entry = placed
    if isinstance(entry, Skipped):
        return Prepared(unit, skipped=entry.why)
    if isinstance(entry, Failure):
        return Prepared(unit, failures=[entry])
    result = Prepared(unit, entry.key, is_item=True)
    caption = _part(entry.caption, decode_caption, "caption", result)
    if plan.text and caption is None:
        result.skipped = "no caption" if plan.image else None
        return result
    metadata = _part(entry.metadata, decode_metadata, "metadata", result)
    if plan.image:
        result.pixels = _part(entry.image, encoder.preprocess, "picture", result)
        if result.pixels is None:
            return result
    result.row = Row(entry.image_path, caption, metadata, entry.record)
    return result


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


def _groups(entries: Iterable[In], size: int) -> Generator[list[In], None, None]:
    several = iter(entries)
    while group := list(itertools.islice(several, size)):
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
        for result in results:
            seen.append(result)
            if result.row is not None:
                kept.append(result)
            # Failures are handed on too, so that a limit on them acts without a full batch.
            if len(kept) == batch_size or len(seen) >= 4 * batch_size:
                yield _encode(kept, seen, encoder, texts, plan)
                kept, seen = [], []
        if seen:
            yield _encode(kept, seen, encoder, texts, plan)
    finally:
        results.close()


def _encode(
    kept: list[Prepared], seen: list[Prepared], encoder: Encoder, texts: Encoder, plan: Plan
) -> Batch:
    failures = [failure for result in seen for failure in result.failures]
    rows = [result.row for result in kept if result.row is not None]
    image = text = None
    if rows and plan.image:
        pixels = [result.pixels for result in kept if result.pixels is not None]
        image = encoder.encode_pixels(np.stack(pixels))
    if rows and plan.text:
        text = texts.encode_texts([row.caption or "" for row in rows])
    usable = np.ones(len(rows), dtype=np.bool_)
    for vectors in (image, text):
        if vectors is not None:
            assert vectors.shape == (len(rows), encoder.identity.dimension), vectors.shape
            np.logical_and(usable, _usable(vectors), out=usable)
    for i in np.flatnonzero(np.logical_not(usable)).tolist():
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
    )


def _usable(vectors: FloatArray) -> NDArray[np.bool_]:
    return np.logical_and(np.isfinite(vectors).all(axis=1), vectors.any(axis=1))


def _part(
    blob: Blob | None, decode: Callable[[bytes], Found], stage: Stage, result: Prepared
) -> Found | None:
    if blob is None:
        return None
    try:
        return decode(blob())
    # Decoders of pictures raise anything, from SyntaxError to struct.error; the item pays.
    except Exception as error:
        result.failures.append(Failure(result.key, stage, _reason(error)))
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, SearchBackError) or type(error) is ValueError:
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"{type(error).__name__}: {error}"
