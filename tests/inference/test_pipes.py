"""Tars that commands write: streamed, checked, and gone with the run."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search_back.errors import BadFolder, ConfigError, NothingToDo, TooManyFailures
from search_back.inference import InferenceReport, InferenceSettings, run
from search_back.inference.readers.pipes import parse_pipe
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import read_result, tar_bytes

COLOURS = ["red", "lime", "blue", "yellow"]


def shard(number: int) -> bytes:
    """Two captioned pictures."""
    return tar_bytes(
        [
            member
            for i in (2 * number, 2 * number + 1)
            for member in ((f"{i}.png", picture_bytes(COLOURS[i])), (f"{i}.txt", COLOURS[i]))
        ]
    )


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for number in (0, 1):
        (tmp_path / f"part-{number:02}.tar").write_bytes(shard(number))
    return tmp_path


def embed(out: Path, *inputs: str, **changes: object) -> InferenceReport:
    values: dict[str, object] = {"batch_size": 2, "num_prepro_workers": 2, **changes}
    settings = InferenceSettings(inputs, out, **values)  # type: ignore[arg-type]
    return run(settings, FakeEncoder())


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(text)
    return f"pipe:{shlex.quote(sys.executable)} {shlex.quote(str(path))}"


def test_braces_become_one_command_each(shards: Path, tmp_path: Path) -> None:
    report = embed(tmp_path / "out", f"pipe:cat {shards}/part-{{00..01}}.tar", enable_text=True)
    assert (report.count, report.failures, report.has_text) == (4, 0, True)
    result = read_result(tmp_path / "out")
    assert result.column("caption") == COLOURS
    assert result.manifest["input"] == [f"pipe:cat {shards}/part-0{n}.tar" for n in (0, 1)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_output_is_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "x").write_bytes(pack(shard(0)))
    report = embed(tmp_path / "out", f"pipe:cat {tmp_path / 'x'}")
    assert (report.count, report.failures) == (2, 0)


def test_commands_run_once_so_texts_are_left_out_by_default(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(shard(0))
    log = tmp_path / "runs"
    command = script(
        tmp_path,
        f"import sys\nopen({str(log)!r}, 'a').write('run ')\n"
        f"sys.stdout.buffer.write(open({str(tmp_path / 'x.tar')!r}, 'rb').read())",
    )
    report = embed(tmp_path / "out", command)
    assert log.read_text() == "run "
    assert not report.has_text and "--enable-text True" in report.notes[0]
    assert read_result(tmp_path / "out").column("caption") == COLOURS[:2]


def test_tars_and_commands_may_be_mixed(shards: Path, tmp_path: Path) -> None:
    report = embed(tmp_path / "out", str(shards / "part-00.tar"), f"pipe:cat {shards}/part-01.tar")
    assert (report.count, report.failures) == (4, 0)


def test_a_status_is_a_failure_with_the_last_line_of_stderr(shards: Path, tmp_path: Path) -> None:
    command = script(
        tmp_path,
        f"import sys\nsys.stdout.buffer.write(open({str(shards / 'part-00.tar')!r}, 'rb').read())\n"
        "print('first', file=sys.stderr)\nprint('404 not found', file=sys.stderr)\nsys.exit(22)",
    )
    report = embed(tmp_path / "out", command, f"pipe:cat {shards}/part-01.tar")
    assert (report.count, report.failures) == (4, 1), "what came whole is kept"
    failure = report.first_failures[0]
    assert failure.key == command
    assert failure.reason == "the command ended with status 22: 404 not found"


def test_a_command_that_gives_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match=r"pipe:cat .*none\.tar.*status 1: cat"):
        embed(tmp_path / "out", f"pipe:cat {tmp_path}/none.tar")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream_that_is_cut_loses_its_tail_only(tmp_path: Path, packed: bool) -> None:
    data = gzip.compress(shard(0))[:-40] if packed else shard(0)[:1800]
    (tmp_path / "x").write_bytes(data)
    (tmp_path / "good.tar").write_bytes(shard(1))
    report = embed(tmp_path / "out", f"pipe:cat {tmp_path}/x", f"pipe:cat {tmp_path}/good.tar")
    assert report.failures == 1 and report.count >= 2
    assert "cannot be read to its end" in report.first_failures[0].reason


def test_a_second_tar_behind_the_first_is_not_lost_silently(shards: Path, tmp_path: Path) -> None:
    report = embed(tmp_path / "out", f"pipe:cat {shards}/part-00.tar {shards}/part-01.tar")
    assert (report.count, report.failures) == (2, 1)
    assert "more follows" in report.first_failures[0].reason


@pytest.mark.parametrize("how", ["subset", "failures"])
def test_no_command_outlives_its_run(tmp_path: Path, how: str) -> None:
    broken = how == "failures"
    members = [(f"{i}.png", b"broken" if broken else picture_bytes("red")) for i in range(99)]
    (tmp_path / "x.tar").write_bytes(tar_bytes(members)[:-10240])
    pid = tmp_path / "pid"
    command = script(
        tmp_path,
        f"import os, sys, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        f"sys.stdout.buffer.write(open({str(tmp_path / 'x.tar')!r}, 'rb').read())\n"
        "sys.stdout.flush()\ntime.sleep(600)",
    )
    began = time.monotonic()
    if broken:
        with pytest.raises(TooManyFailures):
            embed(tmp_path / "out", command, max_failures=3)
    else:
        assert embed(tmp_path / "out", command, subset_size=3).count == 3
    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    "command",
    [
        *("cat a.tar | gzip -d", "cat a > b", "cat $HOME/a.tar", "cat *.tar", "cat a; rm b"),
        *("cat `ls`", "cat a &", 'cat "$(ls)"', "cat ~/a.tar", "cat 'a", "", "no-such-program x"),
    ],
)
def test_what_needs_a_shell_is_refused(command: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        embed(tmp_path / "out", f"pipe:{command}")


def test_quoted_characters_are_taken_as_they_stand() -> None:
    assert parse_pipe("pipe:cat 'https://x/a?b=1&c=2' \"d*\" e\\&").words == (
        *("cat", "https://x/a?b=1&c=2", "d*", "e&"),
    )


def test_a_command_does_not_fit_a_folder_of_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tars"):
        embed(tmp_path / "out", "pipe:cat x.tar", input_format="files")
    with pytest.raises(BadFolder):
        embed(tmp_path / "out", "pipe:cat x.tar", str(tmp_path / "none.tar"))
