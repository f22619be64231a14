"""What detectors leave out, and queries drawn towards rated pictures, on numpy fakes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import InputError
from search_back.search import SearchEngine, screening
from search_back.search.aesthetics import draw_towards
from search_back.search.heads import Head, Layer, Output
from search_back.search.screening import Detector, screen
from search_back.types import EmbeddingTerm, FloatArray, IdArray, Query
from search_back.vectors import normalise
from tests.fakes import FakeEncoder
from tests.folders import unit_rows
from tests.search.fakes import ArrayIndex, FakeSnapshot, Steps, TableStore

D = 16


def linear(*weights: FloatArray, output: Output = "none", bias: float = 0.0) -> Head:
    return Head("a", (Layer(np.stack(weights), np.full(len(weights), bias, np.float32)),), output)


def axis(i: int) -> FloatArray:
    return np.eye(D, dtype=np.float32)[i]


def index_of(rows: FloatArray) -> ArrayIndex:
    return ArrayIndex(rows)


def kept(detectors: Sequence[Detector], rows: FloatArray) -> list[int]:
    return screen(detectors, index_of(rows), np.arange(len(rows))).tolist()


def test_scores_above_the_threshold_are_flagged() -> None:
    rows = np.zeros((3, D), np.float32)
    rows[:, 0] = [0.25, 0.5, 0.75]
    rows[:, 1] = np.sqrt(1 - rows[:, 0] ** 2)
    flags = Detector(linear(axis(0))).flags(rows)
    assert flags.tolist() == [False, False, True]
    assert Detector(linear(axis(0)), 0.3).flags(rows).tolist() == [False, True, True]
    assert Detector(linear(axis(0)), 0.0).flags(rows).tolist() == [True, True, True]


@given(seed=st.integers(0, 2**20), classes=st.integers(2, 5))
def test_of_prototypes_the_second_is_flagged_where_it_is_the_nearest(
    seed: int, classes: int
) -> None:
    rows, prototypes = unit_rows(50, D, seed=seed), unit_rows(classes, D, seed=seed + 1)
    nearest = np.argmax(rows @ prototypes.T, axis=1)
    assert Detector(linear(*prototypes)).flags(rows).tolist() == (nearest == 1).tolist()


def test_the_threshold_of_prototypes_is_by_how_much() -> None:
    row = normalise(axis(0) * 0.6 + axis(1) * 0.8)[None]
    head = linear(axis(0), axis(1), axis(2))
    assert Detector(head, 0.1).flags(row).tolist() == [True]
    assert Detector(head, 0.3).flags(row).tolist() == [False]


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_of_probabilities_the_second_is_flagged_above_a_half(output: Output) -> None:
    rows = np.stack([axis(0), axis(1)])
    head = linear(axis(0) * 9, axis(1) * 9 - axis(0), output=output)
    assert Detector(head).flags(rows).tolist() == [False, True]
    assert Detector(head, 1.0).flags(rows).tolist() == [False, False]


def test_what_has_no_score_is_flagged() -> None:
    head = linear(axis(0))
    rows = np.stack([axis(1)] * 3)
    rows[1], rows[2, 0] = np.nan, np.inf
    assert Detector(head).flags(rows).tolist() == [False, True, True]
    assert Detector(linear(axis(0), axis(1))).flags(rows[1:2]).tolist() == [True]


def test_an_item_stays_where_no_detector_flags_it() -> None:
    rows = np.stack([axis(0), axis(1), axis(2), axis(3)])
    both = [Detector(linear(axis(0))), Detector(linear(axis(2)))]
    assert kept(both, rows) == [1, 3]
    assert kept(both[:1], rows) == [1, 2, 3]
    assert kept([], rows) == [0, 1, 2, 3]
    assert kept(both, rows[:0]) == []


def test_stored_vectors_need_not_be_of_unit_length() -> None:
    assert kept([Detector(linear(axis(0)))], np.stack([axis(0) * 0.01, axis(1) * 900])) == [1]


def test_positions_are_those_among_the_ids() -> None:
    rows = np.stack([axis(0), axis(1), axis(2)])
    ids = np.array([2, 0, 1, 0, 2], np.int64)
    positions = screen([Detector(linear(axis(0)))], index_of(rows), ids)
    assert positions.dtype == np.int64
    assert positions.tolist() == [0, 2, 4]


def test_vectors_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(ArrayIndex):
        def reconstruct(self, ids: IdArray) -> FloatArray:
            seen.append(len(ids))
            return super().reconstruct(ids)

    seen: list[int] = []
    rows = unit_rows(25, D)
    ids = np.arange(25)[::-1]
    detector = Detector(linear(axis(0)), 0.0)
    whole = screen([detector], Watched(rows), ids)
    monkeypatch.setattr(screening, "BLOCK_ROWS", 10)
    assert screen([detector], Watched(rows), ids).tolist() == whole.tolist()
    assert whole.tolist() == np.flatnonzero(rows[ids, 0] <= 0).tolist()
    assert seen == [25, 10, 10, 5]


ROWS = unit_rows(60, D)
SAFETY = Detector(linear(axis(0)), 0.0)
VIOLENCE = Detector(linear(axis(1), axis(2)))


def engine(**options: Any) -> SearchEngine:
    snapshot = FakeSnapshot(
        {"image": ArrayIndex(ROWS)}, TableStore(pa.table({"n": list(range(len(ROWS)))}))
    )
    timer = options.pop("timer", lambda step: nullcontext())
    return SearchEngine(lambda: snapshot, lambda: FakeEncoder(dimension=D), timer, **options)


def query(**fields: Any) -> Query:
    return Query((EmbeddingTerm(axis(5)),), k=len(ROWS), **fields)


@pytest.mark.parametrize(
    ("wishes", "gone"),
    [
        ((), np.zeros(len(ROWS), np.bool_)),
        (("use_safety_model",), ROWS[:, 0] > 0),
        (("use_violence_detector",), ROWS[:, 2] > ROWS[:, 1]),
        (
            ("use_safety_model", "use_violence_detector"),
            (ROWS[:, 0] > 0) | (ROWS[:, 2] > ROWS[:, 1]),
        ),
    ],
)
def test_a_query_leaves_out_what_it_wishes(wishes: tuple[str, ...], gone: Any) -> None:
    screens = {"use_safety_model": SAFETY, "use_violence_detector": VIOLENCE}
    whole = engine().search(query())
    page = engine(detectors=screens).search(query(wishes=wishes))
    assert page.ids.tolist() == [id_ for id_ in whole.ids.tolist() if not gone[id_]]
    np.testing.assert_allclose(page.similarities, ROWS[page.ids] @ axis(5), atol=1e-6)
    assert page.metadata["n"].to_pylist() == page.ids.tolist()
    assert page.ignored == ()


def test_metadata_are_read_of_what_is_left() -> None:
    wishes = ("use_safety_model",)
    page = engine(detectors={"use_safety_model": SAFETY}).search(query(wishes=wishes, metadata_k=3))
    assert page.metadata["n"].to_pylist() == page.ids[:3].tolist()


def test_everything_may_be_left_out() -> None:
    everything = Detector(linear(axis(0)), -2.0)
    page = engine(detectors={"use_safety_model": everything}).search(
        query(wishes=("use_safety_model",), deduplicate=True)
    )
    assert len(page) == 0
    assert page.metadata.num_rows == 0


def test_absent_detectors_are_ignored_and_said_so() -> None:
    wishes = ("use_violence_detector", "use_safety_model")
    page = engine(detectors={"use_safety_model": SAFETY}).search(query(wishes=wishes))
    assert page.ignored == ("use_violence_detector",)


def test_the_step_is_timed_before_deduplication_and_only_where_it_is_taken() -> None:
    steps = Steps()
    one = engine(detectors={"use_safety_model": SAFETY}, timer=steps)
    one.search(query(wishes=("use_safety_model",), deduplicate=True))
    assert steps.seen == ["knn_index_time", "safety_time", "dedup_time", "metadata_get_time"]
    one.search(query())
    assert steps.seen[4:] == ["knn_index_time", "metadata_get_time"]


@pytest.mark.parametrize("weight", [0.5, -0.5, 3.0, 0.0])
def test_a_score_draws_the_query_by_its_weight(weight: float) -> None:
    rated = {9: unit_rows(1, D, seed=3)[0] * np.float32(1.7)}
    page = engine(rated=rated).search(query(aesthetic_score=9, aesthetic_weight=weight))
    drawn = axis(5) + weight * rated[9]
    drawn /= np.linalg.norm(drawn)
    expected = np.argsort(-(ROWS @ drawn), kind="stable")
    assert page.ids.tolist() == expected.tolist()
    np.testing.assert_allclose(page.similarities, ROWS[expected] @ drawn, atol=1e-5)
    assert page.ignored == ()


def test_a_score_without_its_embedding_is_ignored_and_said_so() -> None:
    plain = engine().search(query())
    for rated in ({}, {8: axis(0)}):
        page = engine(rated=rated).search(query(aesthetic_score=9))
        assert page.ids.tolist() == plain.ids.tolist()
        assert page.ignored == ("aesthetic_score",)


@pytest.mark.parametrize("weight", [1e300, 1e38, 1e9])
def test_a_weight_of_any_size_is_a_direction(weight: float) -> None:
    np.testing.assert_allclose(draw_towards(axis(0), axis(1) * 2, weight), axis(1), atol=1e-6)
    np.testing.assert_allclose(draw_towards(axis(0), axis(1) * 2, -weight), -axis(1), atol=1e-6)


def test_a_query_that_is_drawn_to_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="cancel out"):
        draw_towards(axis(0), axis(0) * 2, -0.5)
