"""Texts are taken the same with and without compiled code, and no broken offset is followed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.kernels import library
from search_back.metadata import columns
from search_back.metadata.columns import Damage, column_of

TYPES = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
needs_compiled = pytest.mark.skipif(library() is None, reason="installed without a C compiler")


@pytest.fixture(params=[pytest.param(True, marks=needs_compiled), False], ids=["C", "Arrow"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(columns, "library", lambda: None)
    return bool(request.param)


@st.composite
def texts_and_ids(draw: st.DrawFn) -> tuple[pa.Array, np.ndarray]:
    values = draw(st.lists(st.none() | st.text(max_size=90), min_size=1, max_size=60))
    kind = draw(st.sampled_from(TYPES))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        array = pa.array([v if v is None else v.encode() for v in values], kind)
    else:
        array = pa.array(values, kind)
    array = array.slice(draw(st.integers(0, len(array) - 1)))
    ids = draw(st.lists(st.integers(0, len(array) - 1), max_size=200))
    return array, np.array(ids, np.int64)


@given(texts_and_ids())
@needs_compiled
def test_compiled_code_takes_as_arrow_does(drawn: tuple[pa.Array, np.ndarray]) -> None:
    array, ids = drawn
    taken = column_of(array, array.type).take(ids)
    taken.validate(full=True)
    assert taken.equals(array.take(pa.array(ids)))


def test_more_rows_than_the_caches_keep(compiled: bool) -> None:
    array = pa.array([None if i % 9 == 0 else "é" * (i % 70) for i in range(9_000)])
    column = column_of(array, array.type)
    for ids in (np.arange(9_000)[::-1], np.random.default_rng(0).integers(0, 9_000, 20_000)):
        assert column.take(ids).equals(array.take(pa.array(ids)))


@pytest.mark.parametrize("width", [np.int32, np.int64])
@pytest.mark.parametrize(("at", "offset"), [(500, -1), (500, 2**30), (501, 0), (0, 7)])
def test_offsets_that_lead_elsewhere_are_refused(
    compiled: bool, width: type[np.signedinteger], at: int, offset: int
) -> None:
    offsets = np.arange(0, 5 * 1001, 5, dtype=width)
    offsets[at] = offset
    kind = pa.string() if width is np.int32 else pa.large_string()
    array = pa.Array.from_buffers(
        kind, 1000, [None, pa.py_buffer(offsets), pa.py_buffer(b"abcde" * 1000)]
    )
    column = column_of(array, kind)
    beside = np.clip([at - 1, at], 0, 999)
    with pytest.raises(Damage, match="offsets are not in order"):
        column.take(beside)
    with pytest.raises(Damage, match="offsets are not in order"):
        column.take(np.arange(1000))


@pytest.mark.parametrize("null", [False, True])
def test_codes_that_lead_elsewhere_are_refused(compiled: bool, null: bool) -> None:
    words = pa.array(["a", "b"])
    valid = pa.py_buffer(bytes([0b01111111])) if null else None
    codes = pa.Array.from_buffers(pa.int8(), 8, [valid, pa.py_buffer(bytes([0, 1, 0, 2] * 2))])
    array = pa.DictionaryArray.from_arrays(codes, words, safe=False)
    with pytest.raises(Damage, match="code points outside"):
        column_of(array, words.type).take(np.array([1, 3]))


@needs_compiled
def test_texts_too_long_for_their_offsets_are_told() -> None:
    compiled = library()
    assert compiled is not None
    offsets, ids = np.array([0, 2**20], np.int32), np.zeros(2**11, np.int64)
    text, ends = np.zeros(2**20, np.uint8), np.zeros(len(ids) + 1, np.int32)
    asked = offsets.ctypes.data, text.ctypes.data, len(text), ids.ctypes.data
    assert compiled.texts_measure(*asked, len(ids) - 1, ends.ctypes.data) == 2**31 - 2**20
    assert compiled.texts_measure(*asked, len(ids), ends.ctypes.data) == -2
