"""What a server found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FoundHit:
    """One result; ``fields``: whatever else came with it, such as ``thumbnail_url``."""

    id: int
    similarity: float
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of results, best first.

    ``facets``: by column, as the server counts them; ``cursor``: where the next page begins, None
    where there is none; ``ignored``: what was asked for and the server has no model for.
    """

    hits: tuple[FoundHit, ...]
    facets: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    ignored: tuple[str, ...] = ()
    took_ms: float = 0.0

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Found:
        return cls(
            hits=tuple(_hit(item) for item in answer["hits"]),
            facets=answer.get("facets", {}),
            cursor=answer.get("cursor"),
            ignored=tuple(answer.get("ignored", ())),
            took_ms=float(answer.get("took_ms", 0.0)),
        )

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[FoundHit]:
        return iter(self.hits)


def _hit(item: Mapping[str, Any]) -> FoundHit:
    known = ("id", "similarity", "metadata")
    return FoundHit(
        id=int(item["id"]),
        similarity=float(item["similarity"]),
        metadata=item.get("metadata", {}),
        fields={name: value for name, value in item.items() if name not in known},
    )
