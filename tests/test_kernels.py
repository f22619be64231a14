"""What is compiled at installation is there, where it must be."""

from __future__ import annotations

import os

import pytest

from search_back.kernels import library

REQUIRED = "SEARCH_BACK_REQUIRE_COMPILED"


@pytest.mark.skipif(not os.environ.get(REQUIRED), reason=f"{REQUIRED} is not set")
def test_the_installation_had_a_compiler() -> None:
    assert library() is not None
