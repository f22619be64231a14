"""Plain frozen values that every layer shares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

FloatArray = NDArray[np.float32]
IdArray = NDArray[np.int64]
Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """What makes two embeddings comparable: weights, preprocessing, tokenizer, precision family.

    ``precision`` is the family: ``fp32`` for the model itself and for everything that was checked
    to agree with it (an int8 export, bf16 on a GPU); what computes is told by ``RuntimeInfo``.
    ``name`` is for people (``emoji``, ``ViT-B/32``) and is not compared; two names of the same
    weights are the same encoder.
    """

    name: str
    dimension: int
    weights_sha256: str
    preprocessing_sha256: str
    precision: str = "fp32"

    @property
    def key(self) -> str:
        """64 hex digits, equal exactly for encoders whose embeddings may be compared."""
        parts = (self.weights_sha256, self.preprocessing_sha256, self.precision)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def matches(self, other: EncoderIdentity) -> bool:
        """Whether vectors of the two lie in one space."""
        return self.key == other.key

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "key": self.key}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EncoderIdentity:
        return cls(
            name=str(value["name"]),
            dimension=int(value["dimension"]),
            weights_sha256=str(value["weights_sha256"]),
            preprocessing_sha256=str(value["preprocessing_sha256"]),
            precision=str(value.get("precision", "fp32")),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.dimension}-d, {self.precision}, {self.key[:12]})"


def fingerprint(value: Mapping[str, Any]) -> str:
    """sha256 of a JSON object, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What an encoder runs on, for people: ``onnxruntime``, ``int8``, ``cpu``.

    ``precision`` is that of the computation; vectors of two precisions may be compared as long as
    their identities match. ``threads``: of one call; 0: as many as the runtime chooses.
    """

    runtime: str
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 0

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision} on {self.device}"


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Tokenized texts.

    ``ids``: ``(n, length)`` int64, rows padded with ``pad``; ``lengths``: ``(n,)`` int64, how many
    ids of a row are text, its start and end tokens included; ``cut``: ``(n,)`` bool, whether the
    text was longer than the encoder reads.
    """

    ids: IdArray
    lengths: IdArray
    cut: NDArray[np.bool_]
    pad: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: IdArray) -> Tokens:
        """Those rows, no wider than the longest of them."""
        lengths = self.lengths[rows]
        width = int(lengths.max(initial=0))
        return Tokens(self.ids[rows, :width], lengths, self.cut[rows], self.pad)

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int]], *, cut: Sequence[bool], pad: int = 0) -> Tokens:
        """From one list of ids a text."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.full((len(rows), int(lengths.max(initial=0))), pad, dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        return cls(ids, lengths, np.array(cut, dtype=np.bool_), pad)

    @classmethod
    def concatenate(cls, parts: Sequence[Tokens]) -> Tokens:
        """The rows of all parts, of which there is at least one and which share their ``pad``."""
        width = max(part.ids.shape[1] for part in parts)
        pad = parts[0].pad
        ids = [
            np.pad(part.ids, ((0, 0), (0, width - part.ids.shape[1])), constant_values=pad)
            for part in parts
        ]
        return cls(
            np.concatenate(ids),
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.cut for part in parts]),
            pad,
        )


@dataclass(frozen=True, slots=True, eq=False)
class IdMask:
    """Which of the ids ``0 … rows - 1`` may be found.

    ``bits``: ``(⌈rows / 8⌉,)`` uint8, id i is bit ``i % 8`` (the lowest first) of byte ``i // 8``;
    ``count``: how many are set.
    """

    bits: NDArray[np.uint8]
    rows: int
    count: int

    @classmethod
    def of(cls, passing: NDArray[np.bool_]) -> IdMask:
        """From ``(rows,)`` bool."""
        bits = np.packbits(passing, bitorder="little")
        return cls(bits, len(passing), int(np.count_nonzero(passing)))

    @property
    def ids(self) -> IdArray:
        """The ids that may be found, rising: ``(count,)`` int64."""
        return np.flatnonzero(self.passing).astype(np.int64, copy=False)

    @property
    def passing(self) -> NDArray[np.bool_]:
        """``(rows,)`` bool."""
        return np.unpackbits(self.bits, count=self.rows, bitorder="little").view(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedQuery:
    """A text or a picture after the first half of its encoding.

    ``cut``: whether it is a text longer than the encoder reads; ``embed``: the second half, which
    gives a ``(d,)`` float32 vector of unit length that is the caller's own.
    """

    cut: bool
    embed: Callable[[], FloatArray]


@dataclass(frozen=True, slots=True)
class TextTerm:
    """Words to search for."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ImageTerm:
    """A picture to search for: the bytes of a file."""

    data: bytes = field(repr=False)
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingTerm:
    """A vector to search for: ``(d,)`` float32, of any length but zero."""

    embedding: FloatArray = field(repr=False)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ItemTerm:
    """An item of the index to search for, by its id."""

    id: int
    weight: float = 1.0


Term = TextTerm | ImageTerm | EmbeddingTerm | ItemTerm


@dataclass(frozen=True, slots=True)
class Query:
    """One question to one index.

    ``k``: how many hits; ``metadata_k``: how many of them, from the best, carry metadata (all
    when None); ``columns``: which metadata columns (all when None; unknown ones are left out).
    ``wishes``: names of optional models the caller would like applied; those that are not
    loaded come back in ``Page.ignored``. ``aesthetic_score``: 0 to 9; draws the query towards what
    people rated so, by ``aesthetic_weight``.

    ``filter``: on the metadata, in the language of ``search.filters``. ``threshold``: the least
    similarity, exactly. ``deduplicate``: by embedding; ``deduplicate_by``: by a column.
    ``group_by``: the best ``per_group`` hits of each value of a column. ``diversity``: 0 … 1, by
    maximal marginal relevance. ``facets``: columns whose values among the hits are counted.
    ``fill``: look further until k hits are left; otherwise the k nearest are what is left over
    from. ``cursor``: behind which hit to go on (``Page.next``), which implies ``fill``.
    """

    terms: tuple[Term, ...]
    modality: Modality = "image"
    k: int = 40
    metadata_k: int | None = None
    columns: tuple[str, ...] | None = None
    deduplicate: bool = False
    wishes: tuple[str, ...] = ()
    aesthetic_score: int | None = None
    aesthetic_weight: float = 0.5
    filter: str | None = None
    threshold: float | None = None
    deduplicate_by: str | None = None
    group_by: str | None = None
    per_group: int = 1
    diversity: float = 0.0
    facets: tuple[str, ...] = ()
    fill: bool = False
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One result; ``similarity`` is the inner product of unit vectors: higher is better."""

    id: int
    similarity: float
    metadata: Mapping[str, Any] | None = None


Edge = int | float | str


@dataclass(frozen=True, slots=True)
class ValueFacet:
    """Values and how often they come: falling, ties in the order of values.

    ``others``: how many more there are, of values that come less often; ``nulls``: how many rows,
    or elements of lists, are null.
    """

    values: tuple[tuple[str | bool | int, int], ...]
    others: int
    nulls: int


@dataclass(frozen=True, slots=True)
class RangeFacet:
    """The span of numbers or times, and how many lie in each of about 20 equal parts of it.

    ``counts[i]`` lie at ``edges[i]`` or above and below ``edges[i + 1]``; the last part includes
    its end. Times are ISO 8601. ``least`` and ``greatest`` are None, and the rest is empty, where
    there is no value. ``others``: how many are infinite or NaN; ``nulls``: as above.
    """

    least: Edge | None
    greatest: Edge | None
    edges: tuple[Edge, ...]
    counts: tuple[int, ...]
    others: int
    nulls: int


Facet = ValueFacet | RangeFacet


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The answer to a :class:`Query`, best first.

    ``ids``: ``(n,)`` int64 without duplicates or padding; ``similarities``: ``(n,)`` float32,
    never rising unless grouped or diversified; ``metadata``: a table whose row i belongs to hit i,
    for the first ``metadata.num_rows`` hits. ``cut_texts``: how many texts of the query were
    longer than the encoder reads, and were read up to there. ``facets``: by column. ``offset``:
    how many hits stand before these; ``next``: the cursor behind them, None where there are no
    more, or where neither ``fill`` nor a cursor was given.
    """

    ids: IdArray
    similarities: FloatArray
    metadata: pa.Table
    ignored: tuple[str, ...] = ()
    cut_texts: int = 0
    facets: Mapping[str, Facet] = field(default_factory=dict)
    offset: int = 0
    next: str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def hits(self) -> Iterator[Hit]:
        """The hits one by one, as Python values."""
        rows: list[dict[str, Any]] = self.metadata.to_pylist()
        for i, (id_, similarity) in enumerate(
            zip(self.ids.tolist(), self.similarities.tolist(), strict=True)
        ):
            yield Hit(id_, similarity, rows[i] if i < len(rows) else None)
