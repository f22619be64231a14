"""Maximal marginal relevance against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import InvalidField
from search_back.search.diversity import mmr
from search_back.types import FloatArray
from search_back.vectors import normalise


def results(seed: int, n: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    embeddings = normalise(rng.standard_normal((n, 4)))
    similarities = embeddings @ normalise(rng.standard_normal(4)[None])[0]
    order = np.argsort(-similarities)
    return similarities[order], embeddings[order]


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 25),
    k=st.integers(0, 30),
    limit=st.integers(0, 30),
    diversity=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
def test_each_place_goes_to_a_best_candidate(
    seed: int, n: int, k: int, limit: int, diversity: float
) -> None:
    similarities, embeddings = results(seed, n)
    order = mmr(similarities, embeddings, diversity=diversity, k=k, limit=limit).tolist()
    reordered = min(limit, n)
    assert len(order) == min(k, n)
    assert order[reordered:] == list(range(reordered, len(order)))
    assert len(set(order)) == len(order)
    cosines = embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    for place in range(1, min(reordered, len(order))):
        before = order[:place]
        left = [i for i in range(reordered) if i not in before]
        marginal = {
            i: (1 - diversity) * similarities[i] - diversity * cosines[i, before].max()
            for i in left
        }
        assert order[place] in left
        assert marginal[order[place]] == pytest.approx(max(marginal.values()), abs=1e-5)
    if order and reordered:
        assert order[0] == 0


def test_no_diversity_keeps_the_order() -> None:
    similarities, embeddings = results(0, 50)
    assert mmr(similarities, embeddings, diversity=0, k=40).tolist() == list(range(40))


def test_a_copy_waits_for_what_is_different() -> None:
    embeddings = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 2]]
    similarities = np.array([0.5, 0.5, 0.5, 0.25, 0.125], dtype=np.float32)
    order = mmr(similarities, embeddings, diversity=0.5, k=5)
    assert order.tolist() == [0, 3, 4, 1, 2]  # of equals the earlier first
    assert mmr(similarities, embeddings, diversity=0.5, k=5, limit=3).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_diversity_has_bounds(diversity: float) -> None:
    with pytest.raises(InvalidField) as raised:
        mmr(*results(0, 3), diversity=diversity, k=3)
    assert raised.value.field == "diversity"
