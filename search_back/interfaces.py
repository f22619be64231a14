"""The architecture on one page: what the parts promise one another.

An :class:`Encoder` turns texts and pictures into unit vectors. A :class:`VectorIndex` finds the
nearest stored vectors. A :class:`MetadataStore` reads rows. A :class:`Snapshot` holds the three
files of one index that belong together. The search engine knows nothing else, so it runs on
numpy fakes as well as on faiss, HDF5 and ONNX Runtime.

All methods may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from search_back.errors import NoSuchModality
from search_back.types import (
    EncoderIdentity,
    FloatArray,
    IdArray,
    IdMask,
    Modality,
    PreparedQuery,
    RuntimeInfo,
    Tokens,
)

if TYPE_CHECKING:
    import pyarrow as pa


class Encoder(Protocol):
    """A CLIP-like pair of towers into one space.

    The work is in two halves so that the first can run in other threads or processes and each
    can be timed: ``preprocess`` and ``tokenize``, then ``encode_*``.
    """

    @property
    def identity(self) -> EncoderIdentity: ...

    @property
    def runtime(self) -> RuntimeInfo: ...

    def preprocess(self, picture: bytes) -> FloatArray:
        """The bytes of a picture file → ``(3, height, width)`` float32; raises ``BadPicture``."""
        ...

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        """``(n, 3, height, width)`` float32 → ``(n, d)`` float32, unit rows."""
        ...

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """n texts → n rows; those longer than the context are cut, and keep their end token."""
        ...

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        """n rows → ``(n, d)`` float32, unit rows."""
        ...

    def encode_images(self, pictures: Sequence[bytes]) -> FloatArray:
        """Both halves for pictures: ``(n, d)`` float32, unit rows."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Both halves for texts: ``(n, d)`` float32, unit rows."""
        ...

    def close(self) -> None: ...


class QueryEncoder(Encoder, Protocol):
    """An encoder that takes one query at a time, and may know it from before."""

    def prepare_text(self, text: str) -> PreparedQuery: ...

    def prepare_picture(self, picture: bytes) -> PreparedQuery:
        """Raises ``BadPicture``."""
        ...


class VectorIndex(Protocol):
    """Nearest neighbours by inner product. Parameters belong to the call, never to the index."""

    @property
    def dimension(self) -> int: ...

    @property
    def kind(self) -> str:
        """For people: ``Flat``, ``IVF1024,SQ8``."""
        ...

    def __len__(self) -> int: ...

    def search(
        self,
        queries: FloatArray,
        k: int,
        *,
        among: IdMask | None = None,
        asked_by: Modality | None = None,
    ) -> tuple[FloatArray, IdArray]:
        """``(n, d)`` float32 → similarities and ids, both ``(n, ≤ k)``.

        Rows fall in similarity. Where fewer than k are found, ids end in -1 or rows are shorter.
        ``among``: the ids that may be found; None: all. ``asked_by``: what the queries are made
        of, since texts look for pictures elsewhere than pictures do; None: either.
        """
        ...

    def reconstruct(self, ids: IdArray) -> FloatArray:
        """The stored vectors of ``(n,)`` ids, as exact as the index keeps them: ``(n, d)``."""
        ...

    def close(self) -> None: ...


class MetadataStore(Protocol):
    """Rows of columns, by id. Ids are ``0 … len - 1`` whatever the layout on disk."""

    @property
    def schema(self) -> pa.Schema: ...

    def __len__(self) -> int: ...

    def take(self, ids: IdArray, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of ``(n,)`` int64 ids, in that order.

        ``columns``: those to read, in that order; None: all. Raises ``UnknownId`` with the ids
        out of range, ``UnknownColumn`` with the name.
        """
        ...

    def close(self) -> None: ...


class Snapshot(Protocol):
    """One published state of an index: what belongs together, immutable while it is held."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def identity(self) -> EncoderIdentity | None:
        """Of the encoder that made the vectors; None where the folder does not say."""
        ...

    @property
    def indices(self) -> Mapping[Modality, VectorIndex]: ...

    @property
    def metadata(self) -> MetadataStore: ...


def vectors_of(snapshot: Snapshot, modality: Modality) -> VectorIndex:
    """Its index of one modality; raises ``NoSuchModality``."""
    index = snapshot.indices.get(modality)
    if index is None:
        raise NoSuchModality(
            f"index {snapshot.name!r} holds no {modality} vectors",
            value=modality,
            remedy=f"use modality {' or '.join(snapshot.indices)}",
        )
    return index


class StepTimer(Protocol):
    """Times a named step of a query, e.g. ``with timer("knn_index_time"): …``."""

    def __call__(self, step: str) -> AbstractContextManager[object]: ...


class CacheObserver(Protocol):
    """Is told whether a cache had what was asked of it; must be quick and safe for threads."""

    def __call__(self, *, hit: bool) -> None: ...


def nobody_looks(*, hit: bool) -> None:
    """A ``CacheObserver`` that does nothing."""
