"""Least similarities and exact rescoring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.search import threshold
from search_back.search.threshold import above, falling, rescored
from search_back.types import FloatArray, IdArray


class Stored:
    """An index that only gives back its vectors, and keeps how many at a time."""

    kind = "fake"

    def __init__(self, vectors: FloatArray) -> None:
        self._vectors = vectors
        self.asked: list[int] = []

    @property
    def dimension(self) -> int:
        return self._vectors.shape[1]

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: FloatArray, k: int, **options: object) -> tuple[FloatArray, IdArray]:
        raise AssertionError("rescoring does not search")

    def reconstruct(self, ids: IdArray) -> FloatArray:
        self.asked.append(len(ids))
        return self._vectors[ids]

    def close(self) -> None:
        pass


similarity = st.sampled_from([-0.5, 0.0, 0.1, 0.25, 0.9])


@given(values=st.lists(similarity), least=similarity)
def test_above_counts_what_is_near_enough(values: list[float], least: float) -> None:
    falling_values = np.array(sorted(values, reverse=True), dtype=np.float32)
    assert above(falling_values, least) == sum(value >= least for value in values)


def test_vectors_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "BLOCK", 4)
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    index = Stored(vectors)
    ids = np.array([9, 0, 3, 3, 1, 7, 8, 2, 5], dtype=np.int64)
    found = rescored(index, np.array([1, -2], dtype=np.float32), ids)
    assert found.tolist() == [-(2.0 * i) - 2 for i in ids.tolist()]
    assert found.dtype == np.float32
    assert index.asked == [4, 4, 1]
    assert rescored(index, vectors[0], ids[:0]).shape == (0,)


def test_ties_fall_in_the_order_of_ids() -> None:
    similarities = np.array([0.5, 0.75, 0.5, 0.75], dtype=np.float32)
    ids = np.array([4, 9, 2, 3], dtype=np.int64)
    values, ordered = falling(similarities, ids)
    assert ordered.tolist() == [3, 9, 2, 4]
    assert values.tolist() == [0.75, 0.75, 0.5, 0.5]
