"""An index is replaced while it is asked: no query fails, none is answered from two states."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_back.config import IndexOptions, ServerSettings
from search_back.errors import BadFolder, SearchBackError
from search_back.index import FaissIndex, open_index
from search_back.index.build import BuildSettings, build
from search_back.services import Services, open_snapshot
from search_back.types import EmbeddingTerm, FloatArray, Query
from search_back.vectors import normalise
from tests.index.test_build import D, write_embeddings

N = 400


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An index to serve, and two of other vectors and another number of rows to put there."""
    rng = np.random.default_rng(3)
    for name, rows in (("a", N), ("b", N // 2)):
        write_embeddings(tmp_path / f"{name}-embeddings", normalise(rng.standard_normal((rows, D))))
        build(BuildSettings(tmp_path / f"{name}-embeddings", tmp_path / name))
    shutil.copytree(tmp_path / "a", tmp_path / "served")
    return tmp_path / "served", tmp_path / "a", tmp_path / "b"


def put(folder: Path, served: Path, number: int) -> None:
    """As a build publishes: the new folder beside the old one, then renamed."""
    new = served.with_name(f"new-{number}")
    shutil.copytree(folder, new)
    served.rename(served.with_name(f"old-{number}"))
    new.rename(served)


def test_queries_go_on_while_an_index_is_replaced(folders: tuple[Path, Path, Path]) -> None:
    served, a, b = folders
    services = Services(ServerSettings(indices={"x": IndexOptions(served)}))
    index = services.index("x")
    query: FloatArray = normalise(np.random.default_rng(0).standard_normal((1, D)))[0]
    asked = Query((EmbeddingTerm(query),), k=N)
    sizes: set[int] = set()
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                page = index.search(asked)
                assert len(page.ids) == page.metadata.num_rows
                assert sorted(page.ids.tolist()) == list(range(len(page.ids)))
                sizes.add(len(page.ids))
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    versions = set()
    for number in range(20):
        put(b if number % 2 == 0 else a, served, number)
        index.reload()
        versions.add(index.snapshot.version)
    stop.set()
    for thread in threads:
        thread.join()
    services.close()
    assert not failures, failures[0]
    assert sizes <= {N, N // 2} and len(versions) > 1


def test_a_folder_that_cannot_be_opened_leaves_the_old_state(
    folders: tuple[Path, Path, Path],
) -> None:
    served, _, b = folders
    services = Services(ServerSettings(indices={"x": IndexOptions(served)}))
    index = services.index("x")
    before = index.snapshot
    put(b, served, 0)
    (served / "image.index").write_bytes(b"not an index")
    with pytest.raises(SearchBackError, match=r"image\.index"):
        index.reload()
    assert index.snapshot is before
    assert len(index.search(Query((EmbeddingTerm(np.ones(D, np.float32)),), k=N)).ids) == N
    services.close()


def swapping(monkeypatch: pytest.MonkeyPatch, swap: Callable[[], None]) -> None:
    """Whenever the vectors of an index have been opened, and its metadata has not."""

    def opened(path: Path, **options: Any) -> FaissIndex:
        index = open_index(path, **options)
        swap()
        return index

    monkeypatch.setattr("search_back.services.snapshot.open_index", opened)


def test_a_folder_replaced_while_it_is_opened_is_opened_again(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _, b = folders
    numbers = count()
    swapping(monkeypatch, lambda: None if (n := next(numbers)) else put(b, served, n))
    snapshot = open_snapshot("x", IndexOptions(served))
    assert len(snapshot.indices["image"]) == len(snapshot.metadata) == N // 2
    assert snapshot.version == open_snapshot("x", IndexOptions(served)).version


def test_a_folder_is_awaited_between_the_two_renames(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _, b = folders
    served.rename(served.with_name("old"))
    monkeypatch.setattr("time.sleep", lambda _: b.rename(served))
    assert len(open_snapshot("x", IndexOptions(served)).metadata) == N // 2
    monkeypatch.undo()
    with pytest.raises(BadFolder, match="does not exist"):
        open_snapshot("x", IndexOptions(served.with_name("nowhere")))


def test_a_folder_that_changes_all_the_time_is_refused(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, a, b = folders
    numbers = count()
    swapping(monkeypatch, lambda: put((b, a)[(n := next(numbers)) % 2], served, n))
    with pytest.raises(BadFolder, match="changes while it is opened"):
        open_snapshot("x", IndexOptions(served))
