"""Settings by kind of query and number of results."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.index.plan import SearchPlan, SearchSettings, Step

STEPS = (
    Step(10, SearchSettings(nprobe=4, k_factor=8.0)),
    Step(1_000, SearchSettings(nprobe=64, k_factor=2.0)),
)
PLAN = SearchPlan({"image": STEPS, "text": (Step(10, SearchSettings(nprobe=20, k_factor=4.0)),)})


def test_between_two_steps_parameters_grow_as_powers() -> None:
    assert PLAN.at(100, "image") == SearchSettings(nprobe=16, k_factor=4.0)


def test_outside_the_steps_the_nearest_holds() -> None:
    assert PLAN.at(1, "image") == STEPS[0].settings
    assert PLAN.at(10**6, "image") == STEPS[1].settings


def test_who_does_not_say_gets_what_serves_both() -> None:
    assert PLAN.at(10) == SearchSettings(nprobe=20, k_factor=8.0)
    only = SearchPlan({"image": STEPS})
    assert only.at(10, "text") == STEPS[0].settings


def test_a_kind_that_was_not_measured_looks_further_in_a_graph() -> None:
    linked = SearchSettings(nprobe=50, ef_search=20, k_factor=4.0, seed_nprobe=3)
    steps = (Step(10, linked), Step(100, SearchSettings(nprobe=90, k_factor=2.0)))
    plan = SearchPlan({"image": steps})
    assert plan.at(10, "image") == linked
    wider = SearchSettings(nprobe=50, ef_search=40, k_factor=4.0, seed_nprobe=13)
    assert plan.at(10, "text") == plan.at(10) == wider
    assert plan.at(100, "text") == steps[1].settings
    assert SearchPlan({"image": steps, "text": steps}).at(10) == linked


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_results_never_look_at_fewer_lists(a: int, b: int) -> None:
    fewer, more = PLAN.at(min(a, b), "image"), PLAN.at(max(a, b), "image")
    assert fewer.nprobe is not None
    assert more.nprobe is not None
    assert 4 <= fewer.nprobe <= more.nprobe <= 64


def test_a_plan_is_read_as_it_was_written() -> None:
    assert SearchPlan.from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN
    assert SearchPlan.from_json({"nprobe": 3}).at(7) == SearchSettings(nprobe=3)
    assert SearchPlan.from_json({}).at(7) == SearchSettings()


@pytest.mark.parametrize(
    "value", [{"depth": 3}, {"image": [{"nprobe": 3}]}, {"image": [{"k": 1, "depth": 3}]}]
)
def test_what_is_no_plan_is_refused(value: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        SearchPlan.from_json(value)
