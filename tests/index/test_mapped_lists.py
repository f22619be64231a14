"""Lists that stay in the file of their index: found there, searched, and refused where damaged."""

from __future__ import annotations

import gc
import struct
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import CorruptFile
from search_back.index import list_search as searching
from search_back.index.faiss_index import FaissIndex, open_index
from search_back.index.inverted_lists import InvertedLists
from search_back.index.list_search import ListSearch
from search_back.index.mapped_lists import read_mapped
from search_back.index.plan import SearchPlan, SearchSettings
from search_back.kernels import library
from search_back.types import FloatArray, IdMask
from search_back.vectors import normalise

D, N, LISTS, K = 32, 1_000, 24, 20
KINDS = (
    f"IVF{LISTS},PQ{D // 2}x4fsr,Refine(SQ8)",
    f"IVF{LISTS}(PQ{D // 2}x4fs,RFlat),PQ{D // 2}x4fsr,Refine(SQfp16)",
    f"IVF{LISTS},PQ{D // 4}x4fs,RFlat",
)


def searchable() -> bool:
    compiled = library()
    return compiled is not None and bool(compiled.lists_searchable())


pytestmark = pytest.mark.skipif(not searchable(), reason="faiss searches here")


def rows(seed: int = 0, count: int = N) -> FloatArray:
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(9).standard_normal((LISTS // 3, D))
    return normalise(
        middles[rng.integers(0, len(middles), count)] + rng.standard_normal((count, D))
    )


def written(path: Path, factory: str, metric: int = faiss.METRIC_INNER_PRODUCT) -> Path:
    raw = faiss.index_factory(D, factory, metric)
    raw.train(rows())
    raw.add(rows())
    faiss.write_index(raw, str(path))
    return path


@pytest.fixture(scope="module", params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("mapped") / "image.index", request.param)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("whole") / "image.index", KINDS[1]).read_bytes()


def opened(path: Path, **settings: Any) -> tuple[FaissIndex, FaissIndex]:
    """With its lists in memory, and in the file."""
    plan = SearchPlan.of(SearchSettings(**settings))
    first, second = (open_index(path, memory_mapping=m, plan=plan) for m in (False, True))
    return first, second


def held_by_faiss(index: FaissIndex) -> int:
    assert index.ivf is not None
    return int(index.ivf.invlists.compute_ntotal())


@pytest.mark.parametrize("nprobe", [1, 7, LISTS])
def test_both_find_the_same(path: Path, nprobe: int) -> None:
    memory, mapped = opened(path, nprobe=nprobe, k_factor=3.0)
    assert (held_by_faiss(memory), held_by_faiss(mapped)) == (N, 0)
    assert len(memory) == len(mapped) == N
    queries = rows(1, 40)
    few = IdMask.of(np.random.default_rng(2).random(N) < 0.3)
    for among in (None, few):
        for k in (1, K, N // 2):
            found = [index.search(queries, k, among=among) for index in (memory, mapped)]
            assert np.array_equal(found[0][1], found[1][1])
            assert np.array_equal(found[0][0], found[1][0])
    ids = np.array([3, N - 1, 0])
    assert np.array_equal(memory.reconstruct(ids), mapped.reconstruct(ids))


def test_other_settings_and_threads_find_them_too(path: Path) -> None:
    mapped = opened(path, nprobe=1)[1].with_settings(SearchSettings(nprobe=LISTS, k_factor=8.0))
    found = mapped.on_threads(0).search(rows()[:50], 1)[1][:, 0]
    assert (found == np.arange(50)).mean() > 0.95


def test_lists_are_those_of_faiss(path: Path) -> None:
    memory, mapped = (index.inverted_lists for index in opened(path))
    assert memory is not None and mapped is not None
    assert len(memory) == len(mapped) == LISTS
    assert memory.sizes.tolist() == mapped.sizes.tolist()
    assert np.array_equal(memory.all_ids(), mapped.all_ids())


def test_lists_outlive_what_opened_them(path: Path) -> None:
    lists = opened(path)[1].inverted_lists
    assert lists is not None
    assert sorted(lists.all_ids().tolist()) == list(range(N))


def test_lists_may_be_empty(tmp_path: Path) -> None:
    raw = faiss.index_factory(D, KINDS[0], faiss.METRIC_INNER_PRODUCT)
    raw.train(rows())
    raw.add(rows()[:3])
    faiss.write_index(raw, str(tmp_path / "image.index"))
    mapped = opened(tmp_path / "image.index", nprobe=LISTS)[1]
    assert held_by_faiss(mapped) == 0
    assert mapped.search(rows()[:3], 3)[1][:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "factory", ["Flat", "SQ8", f"IVF{LISTS},Flat", f"IVF{LISTS},SQ8", f"IVF{LISTS},PQ16x4fs"]
)
def test_other_kinds_are_left_to_faiss(factory: str, tmp_path: Path) -> None:
    assert read_mapped(written(tmp_path / "image.index", factory)) is None


def test_distances_are_left_to_faiss(tmp_path: Path) -> None:
    file = written(tmp_path / "image.index", KINDS[0], faiss.METRIC_L2)
    memory, mapped = opened(file, nprobe=LISTS, k_factor=9.0)
    assert held_by_faiss(mapped) == N
    assert np.array_equal(memory.search(rows(1, 9), K)[1], mapped.search(rows(1, 9), K)[1])


def test_faiss_searches_where_nothing_is_compiled(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "library", lambda: None)
    memory, mapped = opened(path, nprobe=LISTS, k_factor=9.0)
    assert held_by_faiss(mapped) == N
    assert ListSearch.of(mapped.raw) is None
    assert np.array_equal(memory.search(rows(1, 9), K)[1], mapped.search(rows(1, 9), K)[1])


def refused(contents: bytes | bytearray, folder: Path) -> None:
    file = folder / "image.index"
    file.write_bytes(contents)
    with pytest.raises(CorruptFile, match=r"image\.index"):
        open_index(file, memory_mapping=True)


@given(part=st.floats(0, 1, exclude_max=True))
def test_a_part_of_a_file_is_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, part: float
) -> None:
    refused(whole[: int(part * len(whole))], tmp_path_factory.mktemp("part"))


@pytest.mark.parametrize("value", [0, 1, 2**31, 2**61, 2**63, 2**64 - 2])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_wrong_lengths_are_refused(whole: bytes, tmp_path: Path, value: int, number: int) -> None:
    """Of lists, what a code takes, the vectors and bytes of a block, the first list."""
    at = whole.index(b"ilbl") + 4 + 8 * number
    refused(whole[:at] + struct.pack("<Q", value) + whole[at + 8 :], tmp_path)


def test_lists_of_fewer_vectors_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "image.index", KINDS[0])
    contents = bytearray(file.read_bytes())
    struct.pack_into("<q", contents, 37 + 8, N - 1)  # of the inverted file, behind its dimension
    refused(contents, tmp_path)


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="needs /proc")
def test_a_closed_index_maps_nothing(path: Path) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(str(path))

    index = open_index(path, memory_mapping=True)
    index.search(rows(1, 5), K)
    assert mapped() > 0
    index.close()
    del index
    gc.collect()
    assert mapped() == 0


def test_nothing_is_written_to_the_file(path: Path) -> None:
    before = path.read_bytes()
    opened(path)[1].search(rows(1, 5), K)
    assert path.read_bytes() == before


def test_lists_of_faiss_are_read_where_they_lie() -> None:
    raw = faiss.index_factory(D, f"IVF{LISTS},Flat", faiss.METRIC_INNER_PRODUCT)
    raw.train(rows())
    raw.add(rows())
    lists = InvertedLists.of(raw, raw)
    assert lists.sizes.sum() == N
    assert sorted(lists.all_ids().tolist()) == list(range(N))
