"""Threads that call an encoder, and tiny models as they are published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_models as tiny


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


@pytest.fixture(scope="module")
def transformers() -> Iterator[Any]:
    with tiny.silent_transformers() as module:
        yield module


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each family of transformers; to be copied by whoever changes it."""
    from tests.encoders.published import PAIRS, TEXTS_ONLY

    makers = PAIRS | TEXTS_ONLY
    with tiny.silent_transformers():
        return {name: make(tmp_path_factory.mktemp("model")) for name, make in makers.items()}


@pytest.fixture
def clip(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["clip"], tmp_path / "clip"))
