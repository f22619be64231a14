"""The engine on numpy fakes, against brute force."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.encoders.cache import CachingEncoder, EmbeddingCache
from search_back.errors import (
    DimensionMismatch,
    EncoderMismatch,
    InputError,
    NoSuchModality,
    UnknownId,
)
from search_back.search import SearchEngine
from search_back.types import (
    EmbeddingTerm,
    EncoderIdentity,
    FloatArray,
    ImageTerm,
    ItemTerm,
    Query,
    TextTerm,
    Tokens,
)
from search_back.vectors import normalise
from tests.fakes import FakeEncoder, picture_bytes
from tests.search.fakes import ArrayIndex, FakeSnapshot, Steps, TableStore

N, D = 200, 8


@pytest.fixture
def vectors() -> FloatArray:
    rng = np.random.default_rng(0)
    return normalise(rng.standard_normal((N, D)))


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder(dimension=D)


@pytest.fixture
def snapshot(vectors: FloatArray, encoder: FakeEncoder) -> FakeSnapshot:
    table = pa.table({"caption": [f"number {i}" for i in range(N)], "size": list(range(N))})
    return FakeSnapshot({"image": ArrayIndex(vectors)}, TableStore(table), encoder.identity)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def engine(snapshot: FakeSnapshot, encoder: FakeEncoder, steps: Steps) -> SearchEngine:
    return SearchEngine(lambda: snapshot, lambda: encoder, steps)


def brute_force(vectors: FloatArray, query: FloatArray, k: int) -> list[int]:
    scores = vectors @ query
    return np.lexsort((np.arange(len(scores)), -scores))[:k].tolist()


def test_words_find_what_brute_force_finds(
    engine: SearchEngine, vectors: FloatArray, encoder: FakeEncoder
) -> None:
    page = engine.search(Query((TextTerm("red"),), k=20))
    query = encoder.encode_texts(["red"])[0]
    assert page.ids.tolist() == brute_force(vectors, query, 20)
    assert page.similarities == pytest.approx(vectors[page.ids] @ query, abs=1e-6)


def test_a_picture_and_an_embedding_of_it_find_the_same(
    engine: SearchEngine, encoder: FakeEncoder
) -> None:
    picture = picture_bytes("red")
    embedding = encoder.encode_images([picture])[0]
    by_picture = engine.search(Query((ImageTerm(picture),), k=9))
    # Clients do not normalise what they send.
    by_embedding = engine.search(Query((EmbeddingTerm(embedding * 7),), k=9))
    assert by_picture.ids.tolist() == by_embedding.ids.tolist()
    assert by_picture.similarities == pytest.approx(by_embedding.similarities, abs=1e-6)


def test_an_item_finds_itself_first(engine: SearchEngine) -> None:
    page = engine.search(Query((ItemTerm(17),), k=3))
    assert page.ids[0] == 17
    assert page.similarities[0] == pytest.approx(1, abs=1e-6)


def test_terms_add_up_by_their_weights(engine: SearchEngine, vectors: FloatArray) -> None:
    page = engine.search(Query((ItemTerm(3, 2.0), ItemTerm(5, -0.5)), k=10))
    query = normalise((2 * vectors[3] - 0.5 * vectors[5])[None])[0]
    assert page.ids.tolist() == brute_force(vectors, query, 10)


def test_terms_that_cancel_out_are_an_error(engine: SearchEngine) -> None:
    with pytest.raises(InputError, match="cancel out"):
        engine.search(Query((ItemTerm(3), ItemTerm(3, -1.0))))


@pytest.mark.parametrize("k", [1, 2, N - 1, N, N + 5, 10 * N])
def test_every_k_gives_all_there_is_and_no_more(engine: SearchEngine, k: int) -> None:
    page = engine.search(Query((ItemTerm(0),), k=k))
    assert len(page) == min(k, N)
    assert len(set(page.ids.tolist())) == len(page)
    assert (np.diff(page.similarities) <= 0).all()


def test_padding_and_repeated_ids_are_dropped(snapshot: FakeSnapshot, engine: SearchEngine) -> None:
    snapshot.indices = {"image": ArrayIndex(np.eye(D, dtype=np.float32)[:3], [-1, 2, 0, -1])}
    page = engine.search(Query((ItemTerm(1),), k=5))
    assert sorted(page.ids.tolist()) == [0, 1, 2]


def test_metadata_belongs_to_its_hit_and_stops_where_asked(engine: SearchEngine) -> None:
    page = engine.search(Query((ItemTerm(0),), k=30, metadata_k=7, columns=("size", "absent")))
    hits = list(page.hits())
    assert [hit.metadata for hit in hits[:7]] == [{"size": hit.id} for hit in hits[:7]]
    assert [hit.metadata for hit in hits[7:]] == [None] * 23


def test_ties_are_in_the_order_of_ids(snapshot: FakeSnapshot, engine: SearchEngine) -> None:
    snapshot.indices = {"image": ArrayIndex(np.tile(np.eye(D, dtype=np.float32)[:1], (6, 1)))}
    assert engine.search(Query((ItemTerm(4),), k=6)).ids.tolist() == [0, 1, 2, 3, 4, 5]


def test_near_duplicates_are_left_out_but_the_best_of_each(
    snapshot: FakeSnapshot, engine: SearchEngine
) -> None:
    rng = np.random.default_rng(1)
    originals = normalise(rng.standard_normal((5, D)))
    copies = normalise(np.repeat(originals, 4, axis=0) + 0.01 * rng.standard_normal((20, D)))
    snapshot.indices = {"image": ArrayIndex(copies)}
    page = engine.search(Query((ItemTerm(6),), k=20, deduplicate=True))
    assert sorted(i // 4 for i in page.ids.tolist()) == [0, 1, 2, 3, 4]
    whole = engine.search(Query((ItemTerm(6),), k=20))
    best = {}
    for id_ in whole.ids.tolist():
        best.setdefault(id_ // 4, id_)
    assert sorted(page.ids.tolist()) == sorted(best.values())


def test_wishes_that_no_model_fulfils_are_told(engine: SearchEngine) -> None:
    page = engine.search(Query((ItemTerm(0),), wishes=("use_safety_model",)))
    assert page.ignored == ("use_safety_model",)


def test_a_query_may_wish_for_another_encoder_of_its_words(
    snapshot: FakeSnapshot, vectors: FloatArray, encoder: FakeEncoder
) -> None:
    other = FakeEncoder(dimension=D, seed=5)
    asked: list[str] = []

    def others() -> FakeEncoder:
        asked.append("other")
        return other

    engine = SearchEngine(
        lambda: snapshot, lambda: encoder, Steps(), text_encoders={"other_words": others}
    )
    red, picture = TextTerm("a red thing"), ImageTerm(picture_bytes("lime"))

    def found(*terms: TextTerm | ImageTerm | ItemTerm, wishes: tuple[str, ...]) -> list[int]:
        page = engine.search(Query(terms, k=9, wishes=wishes))
        assert page.ignored == tuple(wish for wish in wishes if wish != "other_words")
        return page.ids.tolist()

    wish = ("other_words", "use_safety_model")
    ours, theirs = (e.encode_texts(["a red thing"])[0] for e in (encoder, other))
    assert found(red, wishes=()) == brute_force(vectors, ours, 9)
    assert found(red, wishes=wish) == brute_force(vectors, theirs, 9)
    # Pictures stay with the encoder of the index.
    both = theirs + encoder.encode_images([picture_bytes("lime")])[0]
    assert found(red, picture, wishes=wish) == brute_force(vectors, both, 9)
    asked.clear()
    assert found(picture, wishes=wish) == found(picture, wishes=())
    assert found(ItemTerm(3), wishes=wish)[0] == 3
    assert not asked


def test_another_encoder_that_cannot_be_had_is_ignored_and_told(
    snapshot: FakeSnapshot, encoder: FakeEncoder
) -> None:
    engine = SearchEngine(
        lambda: snapshot, lambda: encoder, Steps(), text_encoders={"other_words": lambda: None}
    )
    plain = engine.search(Query((TextTerm("red"),), k=9))
    page = engine.search(Query((TextTerm("red"),), k=9, wishes=("other_words",)))
    assert page.ignored == ("other_words",)
    assert page.ids.tolist() == plain.ids.tolist()


def test_another_encoder_must_fit_the_index(snapshot: FakeSnapshot, encoder: FakeEncoder) -> None:
    wrong = FakeEncoder(dimension=D + 1)
    engine = SearchEngine(
        lambda: snapshot, lambda: encoder, Steps(), text_encoders={"other_words": lambda: wrong}
    )
    with pytest.raises(EncoderMismatch, match=f"'things' holds {D}-d.*'fake' makes {D + 1}-d"):
        engine.search(Query((TextTerm("red"),), wishes=("other_words",)))


def test_another_encoder_is_refused_with_both_names(
    snapshot: FakeSnapshot, engine: SearchEngine, encoder: FakeEncoder
) -> None:
    snapshot.identity = EncoderIdentity("other", D, "0" * 64, "1" * 64)
    with pytest.raises(EncoderMismatch, match="other") as error:
        engine.search(Query((TextTerm("red"),)))
    assert encoder.identity.name in str(error.value)
    # Embeddings and items need no encoder, so they are answered.
    assert len(engine.search(Query((ItemTerm(0),), k=3))) == 3


def test_an_unknown_maker_is_trusted_while_dimensions_agree(
    snapshot: FakeSnapshot, engine: SearchEngine
) -> None:
    snapshot.identity = None
    assert len(engine.search(Query((TextTerm("red"),), k=3))) == 3
    snapshot.indices = {"image": ArrayIndex(np.eye(5, dtype=np.float32))}
    with pytest.raises(EncoderMismatch, match="5-d"):
        engine.search(Query((TextTerm("red"),)))


def test_the_encoder_is_not_asked_for_where_no_term_needs_it(snapshot: FakeSnapshot) -> None:
    def fail() -> FakeEncoder:
        raise AssertionError("the encoder was asked for")

    engine = SearchEngine(lambda: snapshot, fail, Steps())
    assert len(engine.search(Query((ItemTerm(0),), k=3))) == 3


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (Query(()), InputError),
        (Query((ItemTerm(0),), k=0), InputError),
        (Query((ItemTerm(N),)), UnknownId),
        (Query((ItemTerm(0),), modality="text"), NoSuchModality),
        (Query((EmbeddingTerm(np.ones(D + 1, np.float32)),)), DimensionMismatch),
        (Query((EmbeddingTerm(np.zeros(D, np.float32)),)), InputError),
        (Query((EmbeddingTerm(np.full(D, np.nan, np.float32)),)), InputError),
    ],
)
def test_queries_that_cannot_be_answered(
    engine: SearchEngine, query: Query, error: type[Exception]
) -> None:
    with pytest.raises(error):
        engine.search(query)


def test_a_query_known_from_before_is_timed_and_told_like_any_other(
    snapshot: FakeSnapshot, steps: Steps
) -> None:
    plain = FakeEncoder(dimension=D, context=5)
    encoder = CachingEncoder(plain, EmbeddingCache(9))
    snapshot.identity = None
    query = Query((TextTerm("longer than five"), TextTerm("red"), ImageTerm(picture_bytes())), k=9)
    pages = [
        SearchEngine(lambda: snapshot, lambda each=each: each, steps).search(query)
        for each in (plain, encoder, encoder)
    ]
    assert [page.cut_texts for page in pages] == [1, 1, 1]
    assert [page.ids.tolist() for page in pages] == [pages[0].ids.tolist()] * 3
    seen = len(steps.seen) // 3
    assert steps.seen == steps.seen[:seen] * 3


def test_an_embedding_that_is_not_finite_is_refused(snapshot: FakeSnapshot) -> None:
    class Broken(FakeEncoder):
        def encode_tokens(self, tokens: Tokens) -> FloatArray:
            return super().encode_tokens(tokens) * np.float32(np.inf)

    broken = Broken(dimension=D)
    engine = SearchEngine(lambda: snapshot, lambda: broken, Steps())
    with pytest.raises(InputError, match="'fake' gives no finite embedding"):
        engine.search(Query((TextTerm("red"),)))


def test_steps_are_timed_under_their_names(engine: SearchEngine, steps: Steps) -> None:
    engine.search(Query((TextTerm("red"), ImageTerm(picture_bytes("red"))), deduplicate=True))
    assert steps.seen == [
        "text_prepro_time",
        "text_clip_inference_time",
        "image_prepro_time",
        "image_clip_inference_time",
        "knn_index_time",
        "dedup_time",
        "metadata_get_time",
    ]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 80),
    k=st.integers(1, 100),
    weights=st.lists(st.sampled_from([-2.0, -0.5, 0.5, 1.0, 3.0]), min_size=1, max_size=4),
)
def test_any_composition_is_brute_force_over_the_weighted_sum(
    seed: int, n: int, k: int, weights: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    vectors = normalise(rng.standard_normal((n, D)))
    parts = rng.standard_normal((len(weights), D)).astype(np.float32)
    store = TableStore(pa.table({"n": list(range(n))}))
    snapshot = FakeSnapshot({"image": ArrayIndex(vectors)}, store)
    engine = SearchEngine(lambda: snapshot, lambda: FakeEncoder(dimension=D), Steps())
    terms = tuple(EmbeddingTerm(p, w) for p, w in zip(parts, weights, strict=True))
    page = engine.search(Query(terms, k=k))
    query = np.asarray(weights, np.float32) @ normalise(parts)
    query /= np.linalg.norm(query)
    expected = brute_force(vectors, query, k)
    assert page.similarities == pytest.approx(vectors[expected] @ query, abs=1e-5)
    assert set(page.ids.tolist()) <= set(range(n))
    assert len(page) == min(k, n)
