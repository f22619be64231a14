"""The bundled model and pictures, loaded once for all tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search_back.models import model_folder, pictures_tar
from search_back.models.recipe.evaluate import Model
from search_back.models.recipe.pictures import Sample, read_pictures


@pytest.fixture(scope="session")
def folder() -> Path:
    return model_folder()


@pytest.fixture(scope="session")
def described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "encoder.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def bundled() -> list[Sample]:
    return read_pictures(pictures_tar())


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return Model(folder)
