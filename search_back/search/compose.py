"""From the terms of a query to one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from search_back.errors import EncoderMismatch, InputError
from search_back.interfaces import Encoder, QueryEncoder, Snapshot, StepTimer, VectorIndex
from search_back.types import (
    EmbeddingTerm,
    FloatArray,
    ImageTerm,
    ItemTerm,
    PreparedQuery,
    Query,
    Term,
    TextTerm,
)
from search_back.vectors import check_embedding, combine


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """The unit vector ``(d,)`` float32 of a query, and how many of its texts were cut."""

    vector: FloatArray
    cut_texts: int


def compose(
    query: Query,
    *,
    snapshot: Snapshot,
    index: VectorIndex,
    encoder: Callable[[], Encoder],
    timer: StepTimer,
    texts: Encoder | None = None,
) -> Composed:
    """One vector of all terms by their weights.

    ``encoder`` is called only where a term needs one, so that an index whose encoder cannot be
    had still answers by embedding and by item. ``texts``: encodes the words instead; it need not
    be the encoder that made the index, only fit it.
    """
    if not query.terms:
        raise InputError(
            "the query is empty", remedy="give text, image, image_url or embedding_input"
        )
    found = [_vector(term, snapshot, index, encoder, timer, texts) for term in query.terms]
    vector = combine([part.vector for part in found], [term.weight for term in query.terms])
    return Composed(vector, sum(part.cut_texts for part in found))


def _vector(
    term: Term,
    snapshot: Snapshot,
    index: VectorIndex,
    encoder: Callable[[], Encoder],
    timer: StepTimer,
    texts: Encoder | None,
) -> Composed:
    if isinstance(term, EmbeddingTerm):
        owner = f"index {snapshot.name!r}"
        return Composed(check_embedding(term.embedding, index.dimension, owner=owner), 0)
    if isinstance(term, ItemTerm):
        return Composed(index.reconstruct(np.array([term.id], dtype=np.int64))[0], 0)
    if isinstance(term, TextTerm) and texts is not None:
        found = texts
        _check_dimension(snapshot, index, found, option="--mclip-model")
    else:
        found = encoder()
        check_encoder(snapshot, index, found)
    if isinstance(term, TextTerm):
        with timer("text_prepro_time"):
            prepared = _prepare_text(found, term.text)
        with timer("text_clip_inference_time"):
            vector = prepared.embed()
    else:
        assert isinstance(term, ImageTerm)
        with timer("image_prepro_time"):
            prepared = _prepare_picture(found, term.data)
        with timer("image_clip_inference_time"):
            vector = prepared.embed()
    if not np.isfinite(vector).all():
        raise InputError(
            f"encoder {found.identity.name!r} gives no finite embedding of the query",
            remedy="ask for something else; if it fails often, choose a higher precision",
        )
    return Composed(vector, int(prepared.cut))


def _prepare_text(encoder: Encoder, text: str) -> PreparedQuery:
    if hasattr(encoder, "prepare_text"):
        return cast("QueryEncoder", encoder).prepare_text(text)
    tokens = encoder.tokenize([text])
    return PreparedQuery(bool(tokens.cut[0]), lambda: _only(encoder.encode_tokens(tokens)))


def _prepare_picture(encoder: Encoder, picture: bytes) -> PreparedQuery:
    if hasattr(encoder, "prepare_picture"):
        return cast("QueryEncoder", encoder).prepare_picture(picture)
    pixels = encoder.preprocess(picture)
    return PreparedQuery(cut=False, embed=lambda: _only(encoder.encode_pixels(pixels[None])))


def _only(rows: FloatArray) -> FloatArray:
    row: FloatArray = rows[0]
    return row


def check_encoder(snapshot: Snapshot, index: VectorIndex, encoder: Encoder) -> None:
    """Refuse an encoder whose vectors lie in another space than the index's.

    A snapshot without identity is trusted as long as the dimensions agree.
    """
    made_by, asks = snapshot.identity, encoder.identity
    if made_by is not None and not made_by.matches(asks):
        raise EncoderMismatch(
            f"index {snapshot.name!r} was made by {made_by}, the query by {asks}",
            remedy="serve it with the encoder that made it (--clip-model), or build it again; "
            "allow_encoder_mismatch answers all the same",
        )
    _check_dimension(snapshot, index, encoder, option="--clip-model")


def _check_dimension(
    snapshot: Snapshot, index: VectorIndex, encoder: Encoder, *, option: str
) -> None:
    asks = encoder.identity
    if index.dimension != asks.dimension:
        raise EncoderMismatch(
            f"index {snapshot.name!r} holds {index.dimension}-d vectors, "
            f"encoder {asks.name!r} makes {asks.dimension}-d",
            remedy=f"give the model that made the index, or one that fits it: {option} …",
        )
