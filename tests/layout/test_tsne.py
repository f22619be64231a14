"""t-SNE: the same every time, with neighbours kept, and stopped when time is over."""

from __future__ import annotations

import numpy as np
import pytest

from search_back.errors import DeadlineExceeded, InvalidField
from search_back.layout import tsne as module
from search_back.layout.pca import Coordinates, principal
from search_back.layout.tsne import LEAST, tsne
from search_back.vectors import normalise
from tests.folders import unit_rows

GROUPS, SIZE = 4, 15
LABELS = np.repeat(np.arange(GROUPS), SIZE)


@pytest.fixture(scope="module")
def groups() -> Coordinates:
    centres = unit_rows(GROUPS, 32, seed=1)
    return principal(normalise(centres[LABELS] + 0.3 * unit_rows(GROUPS * SIZE, 32)), 50)


def never() -> bool:
    return False


@pytest.mark.parametrize("tree_most", [0, 1_000], ids=["grid", "tree"])
def test_groups_stay_together(
    groups: Coordinates, tree_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TREE_MOST", tree_most)
    monkeypatch.setattr(module, "GRID_STEPS", (50, 50))
    found = tsne(groups, never)
    assert found.shape == (len(groups), 2)
    away = np.linalg.norm(found[:, None] - found, axis=2)
    np.fill_diagonal(away, np.inf)
    assert (LABELS[away.argmin(axis=1)] == LABELS).all()


def test_the_same_rows_give_the_same_points(groups: Coordinates) -> None:
    assert np.array_equal(tsne(groups, never), tsne(groups, never))


@pytest.mark.parametrize("n", [LEAST, LEAST + 1, 40])
def test_few_or_equal_rows(n: int) -> None:
    few = principal(unit_rows(n, 8), 50)
    assert np.isfinite(tsne(few, never)).all()
    equal = principal(np.repeat(unit_rows(1, 8), n, axis=0), 50)
    assert not tsne(equal, never).any()
    half = principal(unit_rows(2, 8)[np.arange(n) % 2], 50)
    assert np.isfinite(tsne(half, never)).all()


def test_it_stops_when_it_is_told_to(groups: Coordinates) -> None:
    calls = 0

    def third(*, raising: bool) -> bool:
        nonlocal calls
        calls += 1
        if raising and calls == 3:
            raise DeadlineExceeded("enough")
        return calls >= 3

    with pytest.raises(DeadlineExceeded):
        tsne(groups, lambda: third(raising=True))
    assert calls == 3
    calls = 0
    found = tsne(groups, lambda: third(raising=False))
    assert calls == 4  # at once in the late steps too
    assert np.isfinite(found).all()
    assert not np.array_equal(found, tsne(groups, never))


def test_without_the_extra_it_says_what_to_install(
    groups: Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InvalidField, match=r"not installed.*search_back\[map\]") as caught:
        tsne(groups, never)
    assert caught.value.field == "method"
