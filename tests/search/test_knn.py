"""What an index returns is cleaned, whatever it is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_back.search.knn import nearest
from search_back.types import FloatArray, IdArray


class Answering:
    """An index that always gives the same answer."""

    kind = "answering"
    dimension = 1

    def __init__(self, similarities: FloatArray, ids: IdArray) -> None:
        self._answer = similarities[None], ids[None]

    def __len__(self) -> int:
        return len(self._answer[1])

    def search(self, queries: FloatArray, k: int, **options: object) -> tuple[FloatArray, IdArray]:
        return self._answer

    def reconstruct(self, ids: IdArray) -> FloatArray:
        return np.ones((len(ids), 1), dtype=np.float32)

    def close(self) -> None:
        pass


@given(
    hits=st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 12)), max_size=15),
    falling=st.booleans(),
)
def test_each_id_once_best_first_and_ties_by_id(hits: list[tuple[int, int]], falling: bool) -> None:
    if falling:
        hits.sort(reverse=True)
    index = Answering(
        np.array([s / 4 for s, _ in hits], dtype=np.float32),
        np.array([i for _, i in hits], dtype=np.int64),
    )
    similarities, ids = nearest(index, np.ones(1, np.float32), 15)
    best: dict[int, float] = {}
    for similarity, i in sorted(((s / 4, i) for s, i in hits if i >= 0), key=lambda h: -h[0]):
        best.setdefault(i, similarity)
    expected = sorted(best.items(), key=lambda h: (-h[1], h[0]))
    assert list(zip(ids.tolist(), similarities.tolist(), strict=True)) == expected
