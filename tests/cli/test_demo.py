"""Preparing the demo: once, in full, whatever happens on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search_back.cli.demo import STAMP, prepare
from search_back.errors import BadFolder
from search_back.files import read_json
from tests.conftest import wait_for

COMMAND = [sys.executable, "-m", "search_back.cli", "demo", "--serve", "False", "--folder"]


@pytest.mark.parametrize("stage", ["pictures", "embeddings", "index"])
def test_a_killed_preparation_is_taken_up_again(tmp_path: Path, stage: str) -> None:
    home = tmp_path / "demo"
    log = tmp_path / "log"
    with log.open("wb") as output:
        running = subprocess.Popen([*COMMAND, str(home)], stderr=output)
    try:
        # Its part is there while a stage is under way; afterwards the stage is.
        wait_for(
            lambda: any(home.glob(f".{stage}.*")) or (home / stage).exists(),
            or_dead=running,
            log=log,
        )
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    done = subprocess.run([*COMMAND, str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in home.iterdir()) == [STAMP, "embeddings", "index", "pictures"]
    assert read_json(home / "index/index.json")["indices"]["image"]["count"] == 2199


def test_what_is_prepared_is_not_prepared_again(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    assert subprocess.run([*COMMAND, str(home)], capture_output=True, check=False).returncode == 0
    before = (home / "index/index.json").stat().st_mtime_ns
    began = time.monotonic()
    prepare(home)
    assert time.monotonic() - began < 5
    assert (home / "index/index.json").stat().st_mtime_ns == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(BadFolder, match="--folder"):
        prepare(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
