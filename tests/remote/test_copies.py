"""Remote files as local ones."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from search_back.files import read_json, write_json
from search_back.remote import LocalCopies, RemoteFile, Retries, look
from search_back.remote.copies import copy_name
from tests.remote.conftest import Flaky
from tests.remote.web import Web


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def put(flaky: Flaky, *names: str) -> list[RemoteFile]:
    files = []
    for name in names:
        flaky.put(name, name.encode() * 100)
        file = look(f"flaky://{name}")
        assert isinstance(file, RemoteFile)
        files.append(file)
    flaky.calls.clear()
    return files


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_copies_come_in_order_and_never_more_than_are_ahead(
    flaky: Flaky, temporary: Path, ahead: int
) -> None:
    names = [f"{folder}/{i}.tar" for folder in "ab" for i in range(4)]
    seen = []
    with LocalCopies(put(flaky, *names), ahead=ahead) as copies:
        for copy in copies:
            path = copy.path()
            assert path.suffix == ".tar"
            seen.append((copy.file.url, path.read_bytes()))
            assert len(files_in(temporary)) <= ahead + 1
    assert seen == [(f"flaky://{name}", name.encode() * 100) for name in names]
    assert list(temporary.iterdir()) == []


def test_the_next_one_comes_while_the_present_one_is_used(flaky: Flaky, temporary: Path) -> None:
    files = put(flaky, "0", "1", "2")
    with LocalCopies(files, ahead=1) as copies:
        turns = iter(copies)
        assert next(turns).path().exists()
        # Its own path is not asked for: what is awaited is the thread.
        copies._coming[1].path()
        assert flaky.of("open") == ["/0", "/1"]


def test_one_that_cannot_be_had_does_not_concern_the_others(
    flaky: Flaky, temporary: Path, retries: Retries, waits: list[float]
) -> None:
    files = put(flaky, "0", "1", "2")
    flaky.fail("open", PermissionError("0"))
    told: list[str | None] = []
    with LocalCopies(files, ahead=0, retries=retries) as copies:
        for copy in copies:
            try:
                told.append(copy.path().read_text()[:1])
            except OSError as error:
                told.append(error.strerror)
    assert told == ["Permission denied", "1", "2"]
    assert waits == []


def test_a_lost_connection_is_tried_again(
    flaky: Flaky, temporary: Path, retries: Retries, waits: list[float]
) -> None:
    files = put(flaky, "0")
    flaky.fail("open", TimeoutError(), ConnectionResetError())
    with LocalCopies(files, retries=retries) as copies:
        assert [copy.path().read_bytes() for copy in copies] == [b"0" * 100]
    assert waits == [0.5, 1.0]


def test_who_leaves_early_leaves_nothing(flaky: Flaky, temporary: Path) -> None:
    with LocalCopies(put(flaky, *"0123"), ahead=2) as copies:
        for copy in copies:
            copy.path()
            break
    assert list(temporary.iterdir()) == []


def test_leaving_ends_the_wait_of_a_try(flaky: Flaky, temporary: Path) -> None:
    files = put(flaky, "0")
    flaky.fail("open", *[TimeoutError()] * 9)
    waiting = Event()

    def wait(stop: Event, seconds: float) -> None:
        waiting.set()
        assert stop.wait(60.0)

    with LocalCopies(files, retries=Retries(wait=wait)) as copies:
        for copy in copies:
            assert waiting.wait(60.0)
            coming = copy
            break
    with pytest.raises(TimeoutError):
        coming.path()
    assert flaky.count("open") == 1


def test_a_copy_that_nobody_asked_for_goes_too(flaky: Flaky, temporary: Path) -> None:
    with LocalCopies(put(flaky, *"012"), ahead=0) as copies:
        for _ in copies:
            assert len(files_in(temporary)) <= 1
        assert files_in(temporary) == []


def test_files_are_taken_as_they_are_needed(flaky: Flaky, temporary: Path) -> None:
    taken: list[str] = []

    def names(files: list[RemoteFile]):  # type: ignore[no-untyped-def]
        for file in files:
            taken.append(file.name)
            yield file

    with LocalCopies(names(put(flaky, *"01234")), ahead=1) as copies:
        next(iter(copies))
        assert taken == ["0", "1"]


def test_in_a_folder_copies_stay_and_are_used_again(flaky: Flaky, tmp_path: Path) -> None:
    files = put(flaky, "a/0.tar", "b/0.tar")
    folder = tmp_path / "cache"
    for _ in range(2):
        with LocalCopies(files, folder=folder) as copies:
            assert [copy.path().read_bytes()[:3] for copy in copies] == [b"a/0", b"b/0"]
    assert flaky.count("open") == 2
    names = [copy_name(file) for file in files]
    assert {path.name for path in folder.iterdir()} == {*names, *(f"{n}.json" for n in names)}
    note = read_json(folder / f"{names[0]}.json")
    assert note == {"url": files[0].url, "stamp": files[0].stamp}


def test_a_copy_of_a_file_that_changed_is_made_again(flaky: Flaky, tmp_path: Path) -> None:
    for _ in range(2):
        (file,) = put(flaky, "0.tar")
        with LocalCopies([file], folder=tmp_path) as copies:
            for copy in copies:
                copy.path()
        assert flaky.count("open") == 1


@pytest.mark.parametrize("note", [None, b"{", b'{"url": "flaky://other", "stamp": ""}'])
def test_a_copy_whose_note_does_not_fit_is_made_again(
    flaky: Flaky, tmp_path: Path, note: bytes | None
) -> None:
    (file,) = put(flaky, "0.tar")
    (tmp_path / copy_name(file)).write_bytes(b"of a killed run")
    if note:
        (tmp_path / f"{copy_name(file)}.json").write_bytes(note)
    with LocalCopies([file], folder=tmp_path) as copies:
        assert [copy.path().read_bytes() for copy in copies] == [b"0.tar" * 100]


def test_a_failed_copy_leaves_nothing_in_the_folder(
    flaky: Flaky, tmp_path: Path, retries: Retries
) -> None:
    files = put(flaky, "0.tar")
    flaky.fail("open", PermissionError())
    with LocalCopies(files, folder=tmp_path, retries=retries) as copies:
        for copy in copies:
            with pytest.raises(PermissionError):
                copy.path()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_runs_left_is_removed_and_what_is_written_is_not(tmp_path: Path) -> None:
    (tmp_path / ".old.part").write_bytes(b"")
    os.utime(tmp_path / ".old.part", (0, 0))
    (tmp_path / ".new.part").write_bytes(b"")
    (tmp_path / "old.tar").write_bytes(b"")
    os.utime(tmp_path / "old.tar", (0, 0))
    with LocalCopies([], folder=tmp_path) as copies:
        assert list(copies) == []
    assert {path.name for path in tmp_path.iterdir()} == {".new.part", "old.tar"}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a%20b.tar?key=1", "a_b.tar"),
        ("s3://bucket/ä:*.tar", "___.tar"),
        (f"s3://bucket/{'x' * 300}.tar", f"{'x' * 96}.tar"),
    ],
)
def test_a_copy_has_a_name_that_every_disk_takes(url: str, name: str) -> None:
    prefix, _, rest = copy_name(RemoteFile(url, None, "")).partition("-")
    assert (len(prefix), rest) == (16, name)


def test_nothing_is_left_open_when_the_program_ends(web: Web) -> None:
    web.files["/a.tar"] = web.files["/b.tar"] = bytes(5000)
    web.fail("/a.tar", 404)
    code = f"""
from search_back.remote import LocalCopies, Retries, look
files = [look("{web.url}/a.tar"), look("{web.url}/b.tar")]
with LocalCopies(files, retries=Retries(wait=lambda stop, seconds: None)) as copies:
    for copy in copies:
        try:
            print(copy.path().stat().st_size)
        except OSError as error:
            print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("HTTP 404 Not Found\n5000\n", "", 0)


def test_a_new_copy_never_lies_beside_an_old_note(
    flaky: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def kill(path: Path, value: object) -> None:
        raise Killed

    for write in (write_json, kill):
        (file,) = put(flaky, "0.tar")
        monkeypatch.setattr("search_back.remote.copies.write_json", write)
        with LocalCopies([file], folder=tmp_path) as copies, suppress(Killed):
            for copy in copies:
                copy.path()
    assert [path.name for path in tmp_path.iterdir()] == [copy_name(file)]
