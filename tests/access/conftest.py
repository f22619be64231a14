"""A folder of pictures, and what gives them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_back.access import PictureAccess
from search_back.config import Limits
from tests.access.drawn import halves


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    halves().save(folder / "a.png")
    halves().save(folder / "sub" / "b.jpg", quality=95)
    halves().save(tmp_path / "outside.png")
    return folder


@pytest.fixture
def access(root: Path) -> PictureAccess:
    return PictureAccess([root], Limits())
