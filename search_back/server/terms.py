"""From what clients send to the terms of a query."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from search_back.access import decode_base64_picture
from search_back.errors import InvalidField, LimitExceeded
from search_back.search import Part, parts_of
from search_back.server.schemas import KnnRequest, SearchRequest, TermModel
from search_back.services import Services
from search_back.types import EmbeddingTerm, FloatArray, ImageTerm, ItemTerm, Term, TextTerm


class TermReader:
    """Decodes, downloads and checks. Stateless; safe to call from several threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limits = services.settings.limits

    def of_knn(self, asked: KnnRequest) -> Term:
        """The first input that is filled, in the order clients rely on."""
        if asked.text is not None:
            return self._text(asked.text, "text")
        if asked.image is not None:
            return self._image(asked.image)
        if asked.image_url is not None:
            return self._address(asked.image_url)
        if asked.embedding_input is not None:
            return EmbeddingTerm(to_embedding(asked.embedding_input))
        if asked.id is not None:
            return ItemTerm(asked.id)
        raise InvalidField(
            "text",
            "the query is empty",
            remedy="give text, image, image_url, embedding_input or id",
        )

    def of_search(self, asked: SearchRequest) -> tuple[Term, ...]:
        """All terms, of a list or of a line."""
        query = asked.query
        if isinstance(query, str):
            parts = tuple(islice(parts_of(query), self._limits.max_query_terms + 1))
            self._check_counts(len(parts), sum(part.kind == "url" for part in parts))
            return tuple(self._part(part) for part in parts)
        if not query:
            raise InvalidField("query", "the query is empty", remedy="give at least one term")
        self._check_counts(len(query), sum(term.image_url is not None for term in query))
        return tuple(self._term(term, f"query.{i}") for i, term in enumerate(query))

    def _check_counts(self, terms: int, addresses: int) -> None:
        if terms > self._limits.max_query_terms:
            raise LimitExceeded(
                "max_query_terms", value=terms, maximum=self._limits.max_query_terms
            )
        if addresses > self._limits.max_query_addresses:
            raise LimitExceeded(
                "max_query_addresses", value=addresses, maximum=self._limits.max_query_addresses
            )

    def _term(self, term: TermModel, field: str) -> Term:
        if term.text:
            return self._text(term.text, f"{field}.text", term.weight)
        if term.image:
            return self._image(term.image, term.weight)
        if term.image_url:
            return self._address(term.image_url, term.weight)
        if term.embedding is not None:
            return EmbeddingTerm(to_embedding(term.embedding), term.weight)
        assert term.id is not None
        return ItemTerm(term.id, term.weight)

    def _part(self, part: Part) -> Term:
        if part.kind == "id":
            return ItemTerm(int(part.value), part.weight)
        if part.kind == "url":
            return self._address(part.value, part.weight)
        if part.kind == "path":
            raise InvalidField(
                "query",
                "a server does not read the files of those who ask",
                value=part.value,
                remedy="send the picture itself as a term; to search for the words, quote them",
            )
        return self._text(part.value, "query", part.weight)

    def _text(self, text: str, field: str, weight: float = 1.0) -> TextTerm:
        maximum = self._limits.max_text_characters
        if len(text) > maximum:
            raise InvalidField(
                field, f"max_text_characters is {maximum}", value=f"{len(text)} characters"
            )
        return TextTerm(text, weight)

    def _image(self, encoded: str, weight: float = 1.0) -> ImageTerm:
        return ImageTerm(decode_base64_picture(encoded, self._limits), weight)

    def _address(self, url: str, weight: float = 1.0) -> ImageTerm:
        with self._services.metrics.download():
            return ImageTerm(self._services.fetcher.fetch(url), weight)


def to_embedding(values: Sequence[float]) -> FloatArray:
    """A client's numbers as float32 whose largest is 1.

    Clients do not normalise, and squares of 1e30 or 1e-30 are beyond what float32 holds.
    """
    vector = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(vector).max(initial=0.0))
    return (vector / largest if largest else vector).astype(np.float32)


def wishes(asked: KnnRequest | SearchRequest) -> tuple[str, ...]:
    """The optional models that a query asks for."""
    names = ("use_mclip", "use_safety_model", "use_violence_detector")
    return tuple(name for name in names if getattr(asked, name))
