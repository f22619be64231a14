"""Choosing lists by short codes of their centres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from search_back.index.coarse import (
    bytes_of_centres,
    centres_scored,
    place_centres,
    quantiser,
    quantiser_parameters,
)
from search_back.index.fill import make
from search_back.index.parameters import call_parameters
from search_back.index.plan import SearchSettings
from search_back.types import FloatArray
from search_back.vectors import normalise

N, D, LISTS = 3_000, 32, 64
CODED = f"IVF{LISTS}(PQ{D // 2}x4fs,RFlat),SQ8"


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    return normalise(np.random.default_rng(0).standard_normal((N, D)))


def filled(factory: str, vectors: FloatArray) -> Any:
    index = make(factory, D)
    index.train(vectors)
    index.add(vectors)
    return index


@pytest.fixture(scope="module")
def coded(vectors: FloatArray) -> Any:
    return filled(CODED, vectors)


@pytest.mark.parametrize(
    ("lists", "dimension", "expected"),
    [
        (512, 512, ""),
        (1_024, 512, "(PQ256x4fs,RFlat)"),
        (4_096, 34, "(PQ17x4fs,RFlat)"),
        (4_096, 333, ""),
    ],
)
def test_many_lists_are_chosen_by_codes(lists: int, dimension: int, expected: str) -> None:
    assert quantiser(lists, dimension) == expected
    codes = lists * (dimension // 4) if expected else 0
    assert bytes_of_centres(lists, dimension) == 4 * lists * dimension + codes


def test_the_nearest_lists_are_found(coded: Any, vectors: FloatArray) -> None:
    parameters = quantiser_parameters(coded, 8)
    _, found = coded.quantizer.search(vectors[:200], 8, params=parameters)
    centres = coded.quantizer.reconstruct_n(0, LISTS)
    truth = np.argsort(-(vectors[:200] @ centres.T), axis=1)[:, :8]
    shares = [np.isin(f, t).mean() for f, t in zip(found, truth, strict=True)]
    assert np.mean(shares) >= 0.95


def test_a_search_of_all_lists_finds_every_vector(coded: Any, vectors: FloatArray) -> None:
    parameters = call_parameters(coded, N, SearchSettings(nprobe=LISTS), breadth=N)
    _, found = coded.search(vectors[:5], N, params=parameters)
    assert (np.sort(found, axis=1) == np.arange(N)).all()


def test_vectors_lie_in_the_list_of_their_nearest_centre(coded: Any, vectors: FloatArray) -> None:
    centres = coded.quantizer.reconstruct_n(0, LISTS)
    nearest = np.argmax(vectors @ centres.T, axis=1)
    _, first = coded.quantizer.search(vectors, 1)  # as faiss asks when it adds
    assert (first[:, 0] == nearest).mean() >= 0.97


def test_what_adds_to_a_file_finds_lists_as_before(coded: Any, tmp_path: Path) -> None:
    faiss.write_index(coded, str(tmp_path / "index"))
    again = faiss.read_index(str(tmp_path / "index"))
    factors = [faiss.downcast_index(i.quantizer).k_factor for i in (coded, again)]
    assert factors == [8.0, 8.0]


@pytest.mark.parametrize(
    ("nprobe", "scored"), [(1, 2), (8, 16), (10, 18), (48, 56), (60, 64), (LISTS, 64)]
)
def test_twice_as_many_centres_are_scored_up_to_an_eighth_of_all_beyond(
    coded: Any, nprobe: int, scored: int
) -> None:
    assert centres_scored(coded, nprobe) == scored


def test_centres_without_codes_take_no_parameters(vectors: FloatArray) -> None:
    plain = filled(f"IVF{LISTS},SQ8", vectors)
    assert quantiser_parameters(plain, 4) is None
    assert centres_scored(plain, 4) == 0


@pytest.mark.parametrize("factory", [CODED, f"IVF{LISTS},PQ8x4fsr,Refine(SQ8)"])
def test_centres_are_placed_before_codes_are_trained(factory: str, vectors: FloatArray) -> None:
    index = make(factory, D)
    place_centres(index, vectors)
    ivf = faiss.extract_index_ivf(index)
    assert (ivf.quantizer.ntotal, index.is_trained) == (LISTS, False)
    placed = ivf.quantizer.reconstruct_n(0, LISTS)
    index.train(vectors)
    assert index.is_trained
    assert np.array_equal(ivf.quantizer.reconstruct_n(0, LISTS), placed)


@pytest.mark.parametrize("factory", [f"PCA16,IVF{LISTS},Flat", f"RR16,IVF{LISTS},PQ8x4fs"])
def test_what_transforms_rows_is_trained_before_the_centres(
    factory: str, vectors: FloatArray
) -> None:
    index = make(factory, D)
    place_centres(index, vectors)
    placed = faiss.extract_index_ivf(index).quantizer.reconstruct_n(0, LISTS)
    index.train(vectors)
    index.add(vectors)
    assert index.ntotal == N
    assert np.array_equal(faiss.extract_index_ivf(index).quantizer.reconstruct_n(0, LISTS), placed)


def test_very_many_lists_get_a_centre_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_back.index.coarse.TWO_LEVELS_FROM", 1_024)
    rows = normalise(np.random.default_rng(1).standard_normal((4_000, D)))
    index = make(f"IVF1024(PQ{D // 2}x4fs,RFlat),SQ8", D)
    place_centres(index, rows)
    assert index.quantizer.ntotal == 1_024
    index.train(rows)
    index.add(rows)
    parameters = call_parameters(index, 1, SearchSettings(nprobe=8), breadth=1)
    assert (index.search(rows[:100], 1, params=parameters)[1][:, 0] == np.arange(100)).mean() > 0.9
