"""Scoring rows by their ids, and when that is the way to search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.search.filters import exact, exact_nearest, plan
from search_back.types import FloatArray, IdArray, IdMask
from search_back.vectors import normalise


class RowIndex:
    """Vectors by id; ``most``: how many were read at once."""

    kind = "rows"

    def __init__(self, rows: FloatArray) -> None:
        self.rows = rows
        self.most = 0

    @property
    def dimension(self) -> int:
        return self.rows.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IdArray]:
        raise AssertionError("no search is needed")

    def reconstruct(self, ids: IdArray) -> FloatArray:
        self.most = max(self.most, len(ids))
        return self.rows[ids]

    def close(self) -> None:
        pass


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_BLOCK_BYTES", 7 * 4 * 16)


def made(count: int, seed: int) -> RowIndex:
    """Rows of which many are the same."""
    random = np.random.default_rng(seed)
    distinct = normalise(random.standard_normal((max(1, count // 3), 16)))
    return RowIndex(distinct[random.integers(0, len(distinct), count)])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("k", [1, 5, 40, 500])
def test_as_sorting_all_of_them(seed: int, k: int) -> None:
    index = made(300, seed)
    random = np.random.default_rng(seed)
    vector = normalise(random.standard_normal((1, 16)))[0]
    ids = random.choice(300, random.integers(0, 300), replace=True)
    similarities, found = exact_nearest(index, vector, ids, k)
    wanted = np.unique(ids)
    scores = np.einsum("ij,j->i", index.rows[wanted], vector)
    order = np.lexsort((wanted, -scores))[:k]
    assert found.tolist() == wanted[order].tolist()
    assert similarities.tolist() == scores[order].tolist()
    assert (similarities.dtype, found.dtype) == (np.float32, np.int64)
    assert index.most <= 7


@pytest.mark.parametrize("dimension", [3, 16, 512, 513])
def test_equal_vectors_tie_wherever_they_lie(dimension: int) -> None:
    vector = normalise(np.random.default_rng(0).standard_normal((1, dimension)))[0]
    index = RowIndex(np.repeat(vector[None], 1003, axis=0))
    similarities, ids = exact_nearest(index, vector, np.arange(1003)[::-1], 900)
    assert ids.tolist() == list(range(900))
    assert len(set(similarities.tolist())) == 1


def test_nothing_asked_for_or_nothing_there() -> None:
    index = made(10, 0)
    for ids, k in ((np.arange(10), 0), (np.arange(0), 5)):
        similarities, found = exact_nearest(index, index.rows[0], ids, k)
        assert (similarities.shape, found.shape) == ((0,), (0,))
    assert index.most == 0


def mask(count: int, rows: int = 1_000_000) -> IdMask:
    return IdMask(np.zeros(0, np.uint8), rows, count)


@pytest.mark.parametrize(
    ("count", "k", "lists", "nprobe", "expected"),
    [
        (0, 40, 1, 1, "none"),
        (5, 0, 1, 1, "none"),
        (1, 40, 4096, 16, "exact"),
        (400, 40, 4096, 16, "exact"),
        # 15625 rows are scanned: 1302 cost as much to read by id.
        (1302, 4, 4096, 64, "exact"),
        (1303, 4, 4096, 64, "filtered"),
        # The lists searched hold 20 rows that pass, and the page wants 40.
        (5_000, 40, 4096, 16, "exact"),
        (40_000, 40, 4096, 16, "exact"),
        (41_000, 40, 4096, 16, "filtered"),
        # They hold too few, but reading them costs more than a search of all lists.
        (83_334, 400, 4096, 16, "filtered"),
        (83_333, 400, 4096, 16, "exact"),
        # All is scanned anyway.
        (83_333, 40, 1, 1, "exact"),
        (83_334, 40, 1, 1, "filtered"),
        (83_334, 40, 16, 64, "filtered"),
        (1_000_000, 40, 4096, 16, "filtered"),
    ],
)
def test_plans(count: int, k: int, lists: int, nprobe: int, expected: str) -> None:
    assert plan(mask(count), k, 1_000_000, lists=lists, nprobe=nprobe) == expected


def test_an_empty_index_needs_no_search() -> None:
    assert plan(mask(5), 40, 0) == "none"


@given(
    counts=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    k=st.integers(1, 1000),
    lists=st.integers(1, 10_000),
    nprobe=st.integers(1, 200),
)
def test_more_rows_never_turn_a_search_into_reading_them(
    counts: tuple[int, int], k: int, lists: int, nprobe: int
) -> None:
    fewer, more = (plan(mask(c), k, 10**6, lists=lists, nprobe=nprobe) for c in sorted(counts))
    assert (fewer, more) != ("filtered", "exact")


def test_a_dearer_reading_is_chosen_less() -> None:
    assert plan(mask(50_000), 40, 10**6, reconstruct_cost=12) == "exact"
    assert plan(mask(50_000), 40, 10**6, reconstruct_cost=50) == "filtered"
