from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from search_back.errors import BadFolder
from search_back.workfolder import holding, work_folder

BUSY = BadFolder("somebody is at work")
HOLD = """
import sys
from pathlib import Path
from search_back.errors import BadFolder
from search_back.workfolder import holding

with holding(Path(sys.argv[1]), otherwise=BadFolder("held")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "target"


def test_one_at_a_time(target: Path) -> None:
    with holding(target, otherwise=BUSY):
        with pytest.raises(BadFolder, match="somebody is at work"), holding(target, otherwise=BUSY):
            pytest.fail("two hold it")
        # Whoever was refused has not taken the lock away.
        with pytest.raises(BadFolder), holding(target, otherwise=BUSY):
            pytest.fail("two hold it")
        with holding(target.with_name("other"), otherwise=BUSY):
            pass
    assert not list(target.parent.iterdir())


def test_an_error_lets_go(target: Path) -> None:
    with pytest.raises(KeyError), holding(target, otherwise=BUSY):
        raise KeyError
    with holding(target, otherwise=BUSY):
        pass
    assert not list(target.parent.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_lets_go(target: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(target)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(BadFolder), holding(target, otherwise=BUSY):
            pytest.fail("two hold it")
        process.send_signal(signal.SIGKILL)
    with holding(target, otherwise=BUSY):
        pass
    assert not list(target.parent.iterdir())


def test_a_publication_that_was_cut_is_undone(target: Path) -> None:
    parent = target.parent
    (parent / ".target.0123abcd.old").mkdir(parents=True)
    (parent / ".target.4567abcd.part").mkdir()
    work_folder(target).mkdir()
    with holding(target, otherwise=BUSY):
        assert target.is_dir() and work_folder(target).is_dir()
    assert sorted(path.name for path in parent.iterdir()) == [".target.work", "target"]
