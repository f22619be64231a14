"""Processors to use, counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from search_back.cores import physical_cores, usable_cores

linux = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="only Linux tells which processors are ours"
)


def test_what_this_machine_has() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert (physical_cores() or 1) <= usable_cores()


@linux
def test_two_of_one_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        place = tmp_path / f"cpu{number}/topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert usable_cores() == 4
    assert physical_cores(tmp_path) == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3})
    assert physical_cores(tmp_path) == 1
    assert physical_cores(tmp_path / "elsewhere") is None


def test_where_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == (os.cpu_count() or 1)
    assert physical_cores() is None
