"""Bytes read before they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search_back.inference import InferenceSettings, run
from search_back.inference.ahead import read_ahead
from search_back.inference.items import Entry, Item, Skipped
from search_back.inference.readers import FilesReader
from search_back.inference.report import Failure
from search_back.inference.source import Placed
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import read_result, write_files


def test_the_same_entries_in_the_same_order() -> None:
    others: list[Entry] = [Skipped("no caption"), Failure("x", "read", "gone")]
    items: list[Entry] = [
        Item(str(i), f"{i}.png", image=str(i).encode, caption=b"c".upper if i % 2 else None)
        for i in range(9)
    ]
    given = [Placed(i // 3, entry) for i, entry in enumerate([*items, *others])]
    found = list(read_ahead(given, readers=3, look_ahead=4))
    assert [placed.unit for placed in found] == [placed.unit for placed in given]
    assert [placed.entry for placed in found[9:]] == others
    for i, (_, item, _) in enumerate(found[:9]):
        assert isinstance(item, Item) and item.image is not None
        assert (item.key, item.image_path, item.image()) == (str(i), f"{i}.png", b"%d" % i)
        assert item.metadata is None
        assert (item.caption is not None and item.caption() == b"C") == bool(i % 2)


def test_reads_wait_together_and_not_for_too_many() -> None:
    together = threading.Barrier(4)
    asked = 0

    def wait() -> bytes:
        together.wait(10)
        return b""

    def entries() -> Iterator[Placed]:
        nonlocal asked
        for i in range(40):
            asked += 1
            yield Placed(0, Item(str(i), None, image=wait))

    for done, _ in enumerate(read_ahead(entries(), readers=4, look_ahead=8)):
        assert asked <= done + 8


def test_an_error_is_raised_where_the_bytes_are_asked_for() -> None:
    class Lost(Exception):
        pass

    def fail() -> bytes:
        raise Lost("far away")

    given = [Placed(0, Item("a", None, image=fail, caption=b"c".upper))]
    (found,) = read_ahead(given, readers=1, look_ahead=1)
    assert isinstance(found.entry, Item) and found.entry.image and found.entry.caption
    for _ in range(2):
        with pytest.raises(Lost, match="far away"):
            found.entry.image()
    assert found.entry.caption() == b"C"


def test_another_look_is_taken_in_the_same_thread() -> None:
    threads: dict[str, set[int]] = {"read": set(), "look": set()}

    def read() -> bytes:
        threads["read"].add(threading.get_ident())
        return b""

    def look(placed: Placed) -> Placed:
        threads["look"].add(threading.get_ident())
        return placed._replace(unit=7)

    given = [Placed(0, Item("a", None, image=read))]
    (found,) = read_ahead(given, readers=1, look_ahead=1, look=look)
    assert found.unit == 7 and threads["read"] == threads["look"] != {threading.get_ident()}


def test_an_input_that_waits_gives_the_same_bytes(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, bytes | str] = {f"{i:02}.png": picture_bytes((i, 0, 9)) for i in range(30)}
    folder = write_files(tmp_path / "in", {**files, "03.png": b"?", "04.txt": "a", "04.json": "{"})
    (folder / "05.png").unlink()
    (folder / "05.png").symlink_to("nowhere.png")

    def embed(name: str) -> None:
        settings = InferenceSettings(
            (str(folder),), tmp_path / name, batch_size=4, enable_metadata=True
        )
        run(settings, encoder)

    embed("local")
    monkeypatch.setattr(FilesReader, "waits", True)
    passed = 0

    def counted(entries: Iterable[Placed], **more: Any) -> Generator[Placed, None, None]:
        nonlocal passed
        for placed in read_ahead(entries, **more):
            passed += 1
            yield placed

    monkeypatch.setattr("search_back.inference.pipeline.read_ahead", counted)
    embed("far")
    local, far = (read_result(tmp_path / name) for name in ("local", "far"))
    assert passed == 30
    assert far.manifest["checksums"] == local.manifest["checksums"]
    assert [failure["stage"] for failure in far.failures] == ["picture", "metadata", "picture"]
