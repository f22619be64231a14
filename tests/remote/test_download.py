"""One file to the disk, whatever the connection does."""

from __future__ import annotations

import errno
from pathlib import Path
from threading import Event

import pytest
from fsspec.implementations.memory import MemoryFile

from search_back.remote import RemoteFile, Retries, look
from search_back.remote.download import download
from tests.remote.conftest import Flaky
from tests.remote.web import Cut, Web

BLOCK = 1000
DATA = bytes(i * i % 251 for i in range(3500))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a.tar"


@pytest.fixture
def file(web: Web) -> RemoteFile:
    web.files["/a.tar"] = DATA
    found = look(f"{web.url}/a.tar")
    assert isinstance(found, RemoteFile)
    return found


@pytest.fixture
def flaky_file(flaky: Flaky) -> RemoteFile:
    flaky.put("a.tar", DATA)
    found = look("flaky://a.tar")
    assert isinstance(found, RemoteFile)
    return found


def test_a_file_comes_in_blocks(web: Web, file: RemoteFile, target: Path) -> None:
    download(file, target, block=BLOCK)
    assert target.read_bytes() == DATA
    assert web.gets("/a.tar") == [
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2999",
        "bytes=3000-3499",
    ]


def test_what_lay_there_before_is_replaced(file: RemoteFile, target: Path) -> None:
    target.write_bytes(b"older")
    download(file, target)
    assert target.read_bytes() == DATA


def test_it_goes_on_where_it_was_cut(
    web: Web, file: RemoteFile, target: Path, retries: Retries, waits: list[float]
) -> None:
    web.fail("/a.tar", None, Cut(500), 503, 503)
    download(file, target, retries=retries, block=BLOCK)
    assert target.read_bytes() == DATA
    assert web.gets("/a.tar") == [
        "bytes=0-999",
        *["bytes=1000-1999"] * 4,
        "bytes=2000-2999",
        "bytes=3000-3499",
    ]
    assert waits == [0.5, 1.0], "the try that brought a block is not counted"


def test_any_number_of_cuts_is_borne_while_something_comes(
    web: Web, file: RemoteFile, target: Path, waits: list[float], retries: Retries
) -> None:
    web.fail("/a.tar", *[None, 503] * 30)
    download(file, target, retries=retries, block=100)
    assert target.read_bytes() == DATA
    assert waits == []


def test_it_ends_after_five_tries_that_bring_nothing(
    web: Web, file: RemoteFile, target: Path, retries: Retries, waits: list[float]
) -> None:
    web.fail("/a.tar", None, *[503] * 6)
    with pytest.raises(OSError, match="HTTP 503") as caught:
        download(file, target, retries=retries, block=BLOCK)
    assert caught.value.filename == file.url
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_a_file_that_is_gone_is_not_asked_for_again(
    web: Web, file: RemoteFile, target: Path, retries: Retries, waits: list[float]
) -> None:
    del web.files["/a.tar"]
    with pytest.raises(FileNotFoundError, match="HTTP 404"):
        download(file, target, retries=retries)
    assert waits == []


def test_a_server_without_ranges_gives_all_at_once(
    web: Web, file: RemoteFile, target: Path, retries: Retries, waits: list[float]
) -> None:
    web.ranges = False
    web.fail("/a.tar", None, None, Cut(0), 503)
    download(file, target, retries=retries, block=BLOCK)
    assert target.read_bytes() == DATA
    # Two blocks were asked for, then all; cut, refused, and all again.
    assert web.gets("/a.tar") == ["bytes=0-999", "bytes=1000-1999", "", "", ""]
    assert waits == [0.5, 1.0]


def test_a_server_that_tells_no_size_is_read_to_the_end(
    web: Web, target: Path, retries: Retries, waits: list[float]
) -> None:
    web.lengths = False
    web.files["/a.tar"] = DATA
    file = look(f"{web.url}/a.tar")
    assert isinstance(file, RemoteFile)
    assert file.size is None
    web.asked.clear()
    # The first GET asks for the size, the second for the file.
    web.fail("/a.tar", None, Cut(0))
    download(file, target, retries=retries, block=BLOCK)
    assert target.read_bytes() == DATA
    assert set(web.gets("/a.tar")) == {""}
    assert len(waits) == 1


def test_a_file_that_changes_on_the_way_is_never_mixed(
    web: Web, file: RemoteFile, target: Path
) -> None:
    other = bytes(len(DATA))
    web.fail("/a.tar", None, Cut(0), 503)

    def wait(stop: Event, seconds: float) -> None:
        web.files["/a.tar"] = other

    download(file, target, retries=Retries(wait=wait), block=BLOCK)
    assert target.read_bytes() == other


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_a_file_of_another_size_is_an_error(
    flaky: Flaky, flaky_file: RemoteFile, target: Path, retries: Retries, size: int
) -> None:
    flaky.put("a.tar", bytes(size))
    with pytest.raises(OSError, match=f"{size} bytes came of {len(DATA)}"):
        download(flaky_file, target, retries=retries)


def test_an_empty_file_is_a_file(flaky: Flaky, web: Web, target: Path) -> None:
    flaky.put("empty", b"")
    web.files["/empty"] = b""
    for url in ("flaky://empty", f"{web.url}/empty"):
        file = look(url)
        assert isinstance(file, RemoteFile)
        download(file, target)
        assert target.read_bytes() == b""


def test_a_full_disk_is_not_tried_again(
    flaky: Flaky, flaky_file: RemoteFile, target: Path, retries: Retries, waits: list[float]
) -> None:
    flaky.fail("open", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        download(flaky_file, target, retries=retries)
    assert waits == []


def test_a_copy_that_is_not_wanted_ends(
    flaky: Flaky, flaky_file: RemoteFile, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Event()
    read = MemoryFile.read

    def read_and_stop(self: MemoryFile, size: int = -1) -> bytes:
        stop.set()
        data: bytes = read(self, size)
        return data

    monkeypatch.setattr(MemoryFile, "read", read_and_stop)
    with pytest.raises(OSError, match="not wanted"):
        download(flaky_file, target, stop=stop, block=BLOCK)
    assert target.stat().st_size == BLOCK
