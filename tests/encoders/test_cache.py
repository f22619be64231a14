"""Queries that are remembered: what counts as the same, and what a hit leaves out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.encoders.cache import CachingEncoder, EmbeddingCache
from search_back.errors import BadPicture
from search_back.types import FloatArray, Modality, RuntimeInfo, Tokens
from tests.fakes import FakeEncoder, picture_bytes


@dataclass
class Looks:
    """An observer that keeps what the cache says."""

    seen: list[tuple[Modality, bool]] = field(default_factory=list)

    def batch(self, kind: Modality, rows: int) -> None: ...

    def waited(self, kind: Modality, seconds: float) -> None: ...

    def cache(self, kind: Modality, *, hit: bool) -> None:
        self.seen.append((kind, hit))


class Counting(FakeEncoder):
    """Counts what is done; ``precision`` as it is told."""

    def __init__(self, *, seed: int = 0, precision: str = "fp32", context: int = 77) -> None:
        super().__init__(seed=seed, context=context)
        self.done: list[str] = []
        self._precision = precision

    @property
    def runtime(self) -> RuntimeInfo:
        return RuntimeInfo("numpy", self._precision)

    def preprocess(self, picture: bytes) -> FloatArray:
        self.done.append("preprocess")
        return super().preprocess(picture)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        self.done.append("encode_pixels")
        return super().encode_pixels(pixels)

    def tokenize(self, texts: object) -> Tokens:
        self.done.append("tokenize")
        return super().tokenize(texts)  # type: ignore[arg-type]

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        self.done.append("encode_tokens")
        return super().encode_tokens(tokens)


TEXT = ["tokenize", "encode_tokens"]


def text(encoder: CachingEncoder, words: str) -> FloatArray:
    return encoder.prepare_text(words).embed()


def picture(encoder: CachingEncoder, data: bytes) -> FloatArray:
    return encoder.prepare_picture(data).embed()


def test_a_known_text_is_neither_tokenized_nor_encoded() -> None:
    inner, looks = Counting(), Looks()
    encoder = CachingEncoder(inner, EmbeddingCache(10), observer=looks)
    first, second = text(encoder, "a dog"), text(encoder, "a dog")
    assert inner.done == TEXT
    assert np.array_equal(first, second)
    assert np.array_equal(first, FakeEncoder().encode_texts(["a dog"])[0])
    assert looks.seen == [("text", False), ("text", True)]


def test_a_known_picture_is_neither_decoded_nor_encoded() -> None:
    inner, looks = Counting(), Looks()
    encoder = CachingEncoder(inner, EmbeddingCache(10), observer=looks)
    first, second = (picture(encoder, picture_bytes("red")) for _ in range(2))
    assert inner.done == ["preprocess", "encode_pixels"]
    assert np.array_equal(first, second)
    assert looks.seen == [("image", False), ("image", True)]


def test_that_a_text_was_cut_is_remembered_too() -> None:
    encoder = CachingEncoder(Counting(context=5), EmbeddingCache(10))
    for _ in range(2):
        query = encoder.prepare_text("longer than five")
        query.embed()
        assert query.cut
    assert not encoder.prepare_text("red").cut


@pytest.mark.parametrize(
    "other",
    ["A dog", "a dog ", "a  dog", "a do", "a dog" * 200, ""],
)
def test_only_the_very_same_text_is_known(other: str) -> None:
    inner = Counting()
    encoder = CachingEncoder(inner, EmbeddingCache(10))
    text(encoder, "a dog")
    text(encoder, other)
    assert inner.done.count("tokenize") == 2


def test_long_texts_are_known_by_their_sum() -> None:
    inner, cache = Counting(context=100_000), EmbeddingCache(10)
    encoder = CachingEncoder(inner, cache)
    long = "a dog" * 1000
    assert np.array_equal(text(encoder, long), text(encoder, long))
    assert inner.done == TEXT
    assert not np.array_equal(text(encoder, long + "!"), text(encoder, long))
    assert max(len(key[2]) for key in cache._known) == 32


def test_a_lone_surrogate_has_a_key() -> None:
    cache = EmbeddingCache(10)
    encoder = CachingEncoder(Surrogates(), cache)
    assert np.array_equal(text(encoder, "\ud800" * 300), text(encoder, "\ud800" * 300))
    assert len(cache) == 1


class Surrogates(FakeEncoder):
    def tokenize(self, texts: object) -> Tokens:
        return super().tokenize(["anything"])


def test_encoders_that_share_a_cache_do_not_mix() -> None:
    cache = EmbeddingCache(10)
    inner = [Counting(), Counting(seed=1), Counting(precision="int8")]
    encoders = [CachingEncoder(each, cache) for each in inner]
    for encoder in encoders:
        text(encoder, "a dog")
    assert [each.done for each in inner] == [TEXT] * 3
    drafts = Counting()
    text(CachingEncoder(drafts, cache, variant="jpeg_draft=fast"), "a dog")
    assert drafts.done == TEXT
    assert len(cache) == 4
    again = Counting()
    text(CachingEncoder(again, cache), "a dog")
    assert again.done == []


def test_a_text_is_no_picture() -> None:
    cache = EmbeddingCache(10)
    encoder = CachingEncoder(FakeEncoder(), cache)
    data = picture_bytes("red")
    picture(encoder, data)
    text(encoder, data.decode("latin-1"))
    assert len(cache) == 2


def test_what_is_given_out_is_the_callers_own() -> None:
    encoder = CachingEncoder(FakeEncoder(), EmbeddingCache(10))
    expected = FakeEncoder().encode_texts(["a dog"])[0]
    for _ in range(3):
        vector = text(encoder, "a dog")
        assert np.array_equal(vector, expected)
        vector[:] = 0


def test_the_least_recently_used_goes_first() -> None:
    cache = EmbeddingCache(3)
    inner = Counting()
    encoder = CachingEncoder(inner, cache)
    for words in ("one", "two", "three", "one", "four"):
        text(encoder, words)
    assert len(cache) == 3
    inner.done.clear()
    for words in ("one", "three", "four"):
        text(encoder, words)
    assert inner.done == []
    text(encoder, "two")
    assert inner.done == TEXT


def test_a_failure_is_not_remembered() -> None:
    cache = EmbeddingCache(10)
    encoder = CachingEncoder(FakeEncoder(), cache)
    for _ in range(2):
        with pytest.raises(BadPicture):
            encoder.prepare_picture(b"no picture")
    assert len(cache) == 0


def test_what_is_not_finite_is_not_remembered() -> None:
    cache = EmbeddingCache(10)
    cache.put(("x", "text", "y"), np.array([1, np.nan], np.float32), cut=False)
    assert len(cache) == 0


def test_the_rest_is_the_encoders_own() -> None:
    plain, cache = FakeEncoder(), EmbeddingCache(10)
    encoder = CachingEncoder(plain, cache)
    data = picture_bytes("red")
    assert (encoder.identity, encoder.runtime) == (plain.identity, plain.runtime)
    assert np.array_equal(encoder.encode_texts(["a"]), plain.encode_texts(["a"]))
    assert np.array_equal(encoder.encode_images([data]), plain.encode_images([data]))
    assert np.array_equal(encoder.preprocess(data), plain.preprocess(data))
    encoder.close()
    assert len(cache) == 0


@given(asked=st.lists(st.sampled_from("abcdefgh"), max_size=60), entries=st.integers(1, 5))
def test_it_keeps_the_last_entries_that_were_asked_for(asked: list[str], entries: int) -> None:
    cache = EmbeddingCache(entries)
    encoder = CachingEncoder(FakeEncoder(), cache)
    for words in asked:
        text(encoder, words)
    last = list(dict.fromkeys(reversed(asked)))[:entries]
    assert [key[2] for key in reversed(cache._known)] == last


def test_threads_share_it() -> None:
    cache = EmbeddingCache(20)
    encoder = CachingEncoder(FakeEncoder(), cache)
    expected = {f"text {n}": FakeEncoder().encode_texts([f"text {n}"])[0] for n in range(40)}

    def ask(thread: int) -> bool:
        names = [f"text {(thread * 11 + number) % 40}" for number in range(200)]
        return all(np.array_equal(text(encoder, name), expected[name]) for name in names)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(8)))
    assert len(cache) == 20
