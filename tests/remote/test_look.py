"""What lies at an address."""

from __future__ import annotations

import os
import pickle
from collections import deque
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from search_back.errors import BadFolder, ConfigError
from search_back.remote import RemoteFile, RemoteFolder, Retries, look
from tests.remote.conftest import Flaky
from tests.remote.web import Cut, Web

TREE = {
    "d/b.jpg": b"b",
    "d/a.jpg": b"aa",
    "d/.hidden": b"",
    "d/y/2.jpg": b"2",
    "d/x/deep/1.jpg": b"1",
    "d/x/0.jpg": b"0",
    "e/other.jpg": b"e",
}


def walked(folder: RemoteFile | RemoteFolder) -> list[tuple[str, list[str]]]:
    assert isinstance(folder, RemoteFolder)
    return [(url, [file.name for file in files]) for url, files in folder.walk()]


def test_a_file_is_a_file(flaky: Flaky) -> None:
    flaky.put("d/a.jpg", b"aa")
    file = look("memory://d/a.jpg")
    assert isinstance(file, RemoteFile)
    assert (file.url, file.name, file.size) == ("memory://d/a.jpg", "a.jpg", 2)
    assert file.read() == b"aa"
    assert pickle.loads(pickle.dumps(file)) == file


def test_a_folder_is_walked_folder_by_folder(flaky: Flaky) -> None:
    for path, data in TREE.items():
        flaky.put(path, data)
    folder = look("memory://d")
    assert folder == RemoteFolder("memory://d")
    assert walked(folder) == [
        ("memory://d", [".hidden", "a.jpg", "b.jpg"]),
        ("memory://d/x", ["0.jpg"]),
        ("memory://d/x/deep", ["1.jpg"]),
        ("memory://d/y", ["2.jpg"]),
    ]


def test_a_local_folder_is_walked_alike(tmp_path: Path) -> None:
    for path, data in {**TREE, "d/x/100% ä#?.jpg": b"odd"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "d/loop").symlink_to(tmp_path / "d")
    url = (tmp_path / "d").as_uri()
    assert walked(look(url)) == [
        (url, [".hidden", "a.jpg", "b.jpg"]),
        (f"{url}/x", ["0.jpg", "100% ä#?.jpg"]),
        (f"{url}/x/deep", ["1.jpg"]),
        (f"{url}/y", ["2.jpg"]),
    ]
    folder = look(url)
    assert isinstance(folder, RemoteFolder)
    contents = {file.name: file.read() for _, files in folder.walk() for file in files}
    assert contents["100% ä#?.jpg"] == b"odd"


def test_a_walk_and_a_look_tell_the_same_of_a_file(flaky: Flaky, tmp_path: Path) -> None:
    flaky.put("d/a.jpg", b"aa")
    (tmp_path / "a.jpg").write_bytes(b"aa")
    for url in ("memory://d", tmp_path.as_uri()):
        [(_, [file])] = RemoteFolder(url).walk()
        assert file == look(file.url)


def test_a_stamp_changes_with_the_file_and_not_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"

    def stamp() -> str:
        file = look(path.as_uri())
        assert isinstance(file, RemoteFile)
        return file.stamp

    path.write_bytes(b"aa")
    os.utime(path, (1, 1))
    first = stamp()
    os.utime(path, (99, 1))
    path.chmod(0o600)
    assert stamp() == first == "size=2 mtime=1.0"
    os.utime(path, (99, 2))
    assert stamp() == "size=2 mtime=2.0"


def test_a_stamp_of_a_web_file_is_its_checksum(web: Web) -> None:
    web.files["/a.jpg"] = b"one"
    first = look(f"{web.url}/a.jpg")
    web.files["/a.jpg"] = b"two"
    second = look(f"{web.url}/a.jpg")
    assert isinstance(first, RemoteFile)
    assert isinstance(second, RemoteFile)
    assert first.stamp.startswith('size=3 ETag="')
    assert first.stamp != second.stamp


def test_nothing_is_a_bad_folder(flaky: Flaky, web: Web, tmp_path: Path) -> None:
    for url in ("memory://none", f"{web.url}/none.tar", (tmp_path / "none").as_uri()):
        with pytest.raises(BadFolder, match="there is nothing") as caught:
            look(url)
        assert caught.value.value == url


def test_what_may_not_be_read_says_so(web: Web) -> None:
    web.fail("/a.tar", 403)
    with pytest.raises(BadFolder, match=r"HTTP 403 Forbidden.*check it, and what you may read"):
        look(f"{web.url}/a.tar")


def test_a_web_server_that_is_busy_is_asked_again(
    web: Web, retries: Retries, waits: list[float]
) -> None:
    web.lengths = False
    web.files["/a.jpg"] = b"aa"
    web.fail("/a.jpg", 503, 503)
    file = look(f"{web.url}/a.jpg", retries=retries)
    assert isinstance(file, RemoteFile)
    assert file.size is None
    assert waits == [0.5, 1.0]


def test_a_folder_of_a_web_server_is_refused(web: Web) -> None:
    web.files["/folder/"] = b"<a href='a.tar'>"
    web.moved["/folder"] = "/folder/"
    for url in (f"{web.url}/folder/", f"{web.url}/folder"):
        with pytest.raises(ConfigError) as caught:
            look(url)
        assert caught.value.remedy == f"name the files: {web.url}/folder/{{00..09}}.tar"


def test_a_web_address_is_sent_as_it_is_written(web: Web) -> None:
    web.files["/a b/ä%.jpg"] = b"odd"
    for written in ("/a b/ä%25.jpg", "/a%20b/%C3%A4%25.jpg?key=%2F+"):
        file = look(web.url + written)
        assert isinstance(file, RemoteFile)
        assert (file.name, file.read()) == ("ä%.jpg", b"odd")


def test_a_small_file_is_read_again_after_faults(
    web: Web, retries: Retries, waits: list[float]
) -> None:
    web.files["/a.jpg"] = bytes(100)
    file = look(f"{web.url}/a.jpg")
    assert isinstance(file, RemoteFile)
    web.fail("/a.jpg", 503, Cut(50))
    assert file.read(retries=retries) == bytes(100)
    assert waits == [0.5, 1.0]
    del web.files["/a.jpg"]
    with pytest.raises(FileNotFoundError, match="No such file"):
        file.read(retries=retries)
    assert len(waits) == 2


def test_a_small_file_of_another_size_is_an_error(flaky: Flaky, retries: Retries) -> None:
    flaky.put("a.jpg", b"aa")
    file = look("flaky://a.jpg")
    assert isinstance(file, RemoteFile)
    flaky.put("a.jpg", b"aaa")
    with pytest.raises(OSError, match="3 bytes came of 2"):
        file.read(retries=retries)
    assert flaky.count("cat_file") == 5


def test_a_folder_that_cannot_be_listed_is_told_and_passed(flaky: Flaky, retries: Retries) -> None:
    for path, data in TREE.items():
        flaky.put(path, data)
    folder = RemoteFolder("flaky://d")
    walk = folder.walk(retries=retries)
    assert next(walk)[0] == "flaky://d"
    flaky.fail("ls", PermissionError("x"))
    with pytest.raises(PermissionError):
        next(walk)

    told: list[tuple[str, str | None]] = []
    flaky.faults["ls"] = deque()
    walk = folder.walk(
        retries=retries, on_error=lambda url, error: told.append((url, error.strerror))
    )
    next(walk)
    flaky.fail("ls", PermissionError("x"))
    assert [url for url, _ in walk] == ["flaky://d/y"]
    assert told == [("flaky://d/x", "Permission denied")]


def test_a_listing_is_asked_for_again(flaky: Flaky, retries: Retries, waits: list[float]) -> None:
    flaky.put("d/a", b"")
    flaky.fail("ls", ConnectionResetError(), TimeoutError())
    assert [url for url, _ in RemoteFolder("flaky://d").walk(retries=retries)] == ["flaky://d"]
    assert len(waits) == 2


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_object_that_marks_a_folder_is_not_in_it(
    flaky: Flaky, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    flaky.put("d/a", b"")
    listing = MemoryFileSystem.ls
    marker = {"name": "/d/", "size": 0, "type": kind}
    monkeypatch.setattr(
        MemoryFileSystem, "ls", lambda self, path, detail: [marker, *listing(self, path, detail)]
    )
    assert walked(RemoteFolder("memory://d")) == [("memory://d", ["a"])]
