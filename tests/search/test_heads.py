"""Heads against the same sums written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import DimensionMismatch
from search_back.search import heads
from search_back.search.heads import Activation, Head, Layer, Output
from search_back.types import FloatArray
from tests.folders import unit_rows


def layer(outputs: int, inputs: int, activation: Activation = "none", *, seed: int = 0) -> Layer:
    rng = np.random.default_rng(seed)
    return Layer(
        rng.standard_normal((outputs, inputs)).astype(np.float32),
        rng.standard_normal(outputs).astype(np.float32),
        activation,
    )


def test_one_output_is_a_score_a_row() -> None:
    rows, only = unit_rows(5), layer(1, 16)
    scores = Head("a", (only,))(rows)
    assert scores.dtype == np.float32
    assert scores.shape == (5,)
    assert scores == pytest.approx(rows @ only.weight[0] + only.bias[0], abs=1e-6)


def test_several_outputs_are_a_column_a_class() -> None:
    rows, only = unit_rows(5), layer(3, 16)
    scores = Head("a", (only,))(rows)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, rows @ only.weight.T + only.bias, atol=1e-6)


def reference(values: FloatArray, layers: tuple[Layer, ...], output: Output) -> list[list[float]]:
    """Number by number, in double precision."""
    found = []
    for vector in values.astype(np.float64).tolist():
        row = vector
        for each in layers:
            row = [
                sum(w * x for w, x in zip(weights, row, strict=True)) + bias
                for weights, bias in zip(each.weight.tolist(), each.bias.tolist(), strict=True)
            ]
            if each.activation == "relu":
                row = [max(x, 0.0) for x in row]
            elif each.activation == "gelu":
                row = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in row]
        if output == "sigmoid":
            row = [1 / (1 + math.exp(-x)) for x in row]
        elif output == "softmax":
            total = sum(math.exp(x) for x in row)
            row = [math.exp(x) / total for x in row]
        found.append(row)
    return found


@given(
    activation=st.sampled_from(["none", "relu", "gelu"]),
    output=st.sampled_from(["none", "sigmoid", "softmax"]),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    classes=st.integers(2, 4),
    n=st.integers(0, 7),
    seed=st.integers(0, 2**20),
)
def test_any_network_is_the_sums_written_out(
    activation: Activation,
    output: Output,
    widths: list[int],
    classes: int,
    n: int,
    seed: int,
) -> None:
    sizes = [*widths, classes]
    last = len(sizes) - 2
    layers = tuple(
        layer(after, before, activation if i < last else "none", seed=seed + i)
        for i, (before, after) in enumerate(itertools.pairwise(sizes))
    )
    rows = unit_rows(n, widths[0], seed=seed)
    scores = Head("a", layers, output)(rows)
    assert scores.shape == (n, classes)
    expected = np.array(reference(rows, layers, output)).reshape(n, classes)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_gelu_is_that_of_erf_everywhere() -> None:
    points = np.linspace(-9, 9, 2001, dtype=np.float32)
    exact = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in points.tolist()]
    one = np.ones((1, 1), np.float32)
    none = np.zeros(1, np.float32)
    head = Head("a", (Layer(one, none, "gelu"), Layer(one, none)))
    np.testing.assert_allclose(head(points[:, None]), exact, atol=2e-6)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_no_logit_is_too_large(output: Output) -> None:
    weight = np.array([[3e30], [-3e30]], np.float32)
    head = Head("a", (Layer(weight, np.zeros(2, np.float32)),), output)
    assert head(np.array([[1.0], [-1.0]], np.float32)).tolist() == [[1, 0], [0, 1]]


def test_the_centre_is_taken_off_first() -> None:
    rows, only, centre = unit_rows(5), layer(1, 16), unit_rows(1, seed=9)[0]
    moved = Head("a", (only,), centre=centre)(rows)
    assert moved == pytest.approx(Head("a", (only,))(rows - centre), abs=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(1001)
    head = Head("a", (layer(8, 16, "relu"), layer(2, 8)))
    whole = head(rows)
    monkeypatch.setattr(heads, "BLOCK_BYTES", 4 * 16 * 10)
    np.testing.assert_allclose(head(rows), whole, atol=1e-6)


def test_a_block_is_bounded_by_the_widest_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = Head._forward

    def watch(head: Head, values: FloatArray) -> FloatArray:
        seen.append(len(values))
        return forward(head, values)

    monkeypatch.setattr(Head, "_forward", watch)
    monkeypatch.setattr(heads, "BLOCK_BYTES", 4 * 64 * 10)
    Head("a", (layer(64, 16), layer(1, 64)))(unit_rows(25))
    assert seen == [10, 10, 5]


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(DimensionMismatch, match=r"x\.npy reads 16-d vectors.*vectors of 8-d"):
        Head("x.npy", (layer(1, 16),))(unit_rows(2, 8))


def test_a_head_says_what_it_is() -> None:
    assert str(Head("a", (layer(1, 16),))) == "16 → 1, linear"
    layers = (layer(8, 16, "relu"), layer(2, 8))
    assert str(Head("a", layers, "softmax")) == "16 → 8 → 2, relu, softmax"
