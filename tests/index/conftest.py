"""Indices are small here: more threads than one would only wait for each other."""

from __future__ import annotations

import faiss
import pytest


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    faiss.omp_set_num_threads(1)
