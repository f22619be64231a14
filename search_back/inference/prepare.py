"""One entry read and decoded; whatever is wrong with it becomes a failure of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from search_back.errors import SearchBackError
from search_back.inference.items import (
    Blob,
    Mark,
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

Found = TypeVar("Found")


@dataclass(slots=True)
class Prepared:
    """An entry, read and decoded. ``row`` is None where nothing of it is kept.

    ``lost``: number of the failure that cost it its row, in its batch; told where it has a mark.
    """

    unit: int
    key: str = ""
    row: Row | None = None
    pixels: FloatArray | None = None
    failures: list[Failure] = field(default_factory=list)
    is_item: bool = False
    skipped: Why | None = None
    mark: Mark | None = None
    lost: int | None = None

    @property
    def is_copy(self) -> bool:
        return self.mark is not None and self.mark.is_copy


def prepare(placed: Placed, encoder: Encoder, plan: Plan) -> Prepared:
    """Read and decode one entry; whatever is wrong with it becomes a failure of its own.

    Caption first: where texts are embedded, a picture without one needs no decoding. Neither does
    a copy.
    """
    unit, entry, mark = placed
    if isinstance(entry, Skipped):
        return Prepared(unit, skipped=entry.why)
    if isinstance(entry, Failure):
        return Prepared(unit, failures=[entry])
    result = Prepared(unit, entry.key, is_item=True, mark=mark)
    caption = _part(entry.caption, decode_caption, "caption", result)
    if plan.text and caption is None:
        result.skipped = "no caption" if plan.image else None
        return result
    metadata = _part(entry.metadata, decode_metadata, "metadata", result)
    if plan.image and not result.is_copy:
        result.pixels = _part(entry.image, encoder.preprocess, "picture", result)
        if result.pixels is None:
            return result
    result.row = Row(entry.image_path, caption, metadata, entry.record)
    return result


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
