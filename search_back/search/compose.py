"""From the terms of a query to one vector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search_back.errors import EncoderMismatch, InputError
from search_back.interfaces import Encoder, Snapshot, StepTimer, VectorIndex
from search_back.types import (
    EmbeddingTerm,
    FloatArray,
    ImageTerm,
    ItemTerm,
    Query,
    Term,
    TextTerm,
)
from search_back.vectors import check_embedding, combine


def compose(
    query: Query,
    *,
    snapshot: Snapshot,
    index: VectorIndex,
    encoder: Callable[[], Encoder],
    timer: StepTimer,
) -> FloatArray:
    """The unit vector ``(d,)`` of all terms by their weights.

    ``encoder`` is called only where a term needs one, so that an index whose encoder cannot be
    had still answers by embedding and by item.
    """
    if not query.terms:
        raise InputError(
            "the query is empty", remedy="give text, image, image_url or embedding_input"
        )
    vectors = [_vector(term, snapshot, index, encoder, timer) for term in query.terms]
    return combine(vectors, [term.weight for term in query.terms])


def _vector(
    term: Term,
    snapshot: Snapshot,
    index: VectorIndex,
    encoder: Callable[[], Encoder],
    timer: StepTimer,
) -> FloatArray:
    if isinstance(term, EmbeddingTerm):
        owner = f"index {snapshot.name!r}"
        return check_embedding(term.embedding, index.dimension, owner=owner)
    if isinstance(term, ItemTerm):
        return _only(index.reconstruct(np.array([term.id], dtype=np.int64)))
    found = encoder()
    check_encoder(snapshot, index, found)
    if isinstance(term, TextTerm):
        with timer("text_prepro_time"):
            tokens = found.tokenize([term.text])
        with timer("text_clip_inference_time"):
            return _only(found.encode_tokens(tokens))
    assert isinstance(term, ImageTerm)
    with timer("image_prepro_time"):
        pixels = found.preprocess(term.data)
    with timer("image_clip_inference_time"):
        return _only(found.encode_pixels(pixels[None]))


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
    if index.dimension != asks.dimension:
        raise EncoderMismatch(
            f"index {snapshot.name!r} holds {index.dimension}-d vectors, "
            f"encoder {asks.name!r} makes {asks.dimension}-d",
            remedy="give the model that made the index: --clip-model …",
        )
