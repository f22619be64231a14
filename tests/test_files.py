"""Files are whole or not there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search_back.errors import CorruptFile
from search_back.files import publish, read_json, recover, sha256_file, sweep, write_json


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new/file.txt"
    with publish(target) as part:
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), publish(target) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old")
    with publish(target) as part:
        (part / "deep").mkdir(parents=True)
        (part / "deep/new").write_text("new")
        assert (target / "old").exists()
    assert [p.name for p in target.iterdir()] == ["deep"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed where they can be opened")
def test_what_is_published_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    flushed: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda f: flushed.append((os.fstat(f).st_ino, target.exists()))
    )
    with publish(target) as part:
        (part / "deep").mkdir(parents=True)
        (part / "deep" / "new").write_text("new")
        (part / "top").write_text("top")
        written = {path.stat().st_ino for path in [part, *part.rglob("*")]}
    assert len(written) == 4
    assert {number for number, named in flushed if not named} == written
    # Its name stands in the folder around it.
    assert [number for number, named in flushed if named] == [tmp_path.stat().st_ino]


def test_a_killed_writer_leaves_what_was_there_and_its_part_is_swept(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from search_back.files import publish\n"
        "with publish(Path(sys.argv[1])) as part:\n"
        "    part.mkdir(); (part / 'new').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == -9
    assert [p.name for p in target.iterdir()] == ["old"]
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    assert (target / "old").read_text() == "old"


def test_what_a_killed_publication_had_moved_aside_is_put_back(tmp_path: Path) -> None:
    target = tmp_path / "x"
    (tmp_path / ".x.0123abcd.old").mkdir()
    (tmp_path / ".x.0123abcd.old" / "a").write_text("old")
    (tmp_path / ".x.4567cdef.part").mkdir()
    (tmp_path / ".xy.4567cdef.part").mkdir()
    recover(target)
    assert (target / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".xy.4567cdef.part", "x"]


def test_what_was_replaced_goes_once_the_new_one_is_there(tmp_path: Path) -> None:
    target = tmp_path / "x"
    for name in ("x", ".x.0123abcd.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    recover(target)
    assert (target / "a").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"name": "Äpfel 🍎", "n": [1, None, 2.5]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_what_is_no_json_object_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(CorruptFile, match=r"bad\.json"):
        read_json(tmp_path / "bad.json")


def test_a_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "data").write_bytes(data)
    assert sha256_file(tmp_path / "data") == hashlib.sha256(data).hexdigest()
