"""Indices are small here: more threads than one would only wait for each other."""

from __future__ import annotations

from pathlib import Path

import faiss
import pytest

from tests.index.linked import write_linked


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    faiss.omp_set_num_threads(1)


@pytest.fixture(scope="module", params=["SQ8", "SQfp16"])
def linked_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with its graph."""
    path: Path = tmp_path_factory.mktemp("graph") / "image.index"
    write_linked(path, request.param)
    return path.parent
