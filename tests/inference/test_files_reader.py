from __future__ import annotations

import os
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.inference.items import IMAGE_EXTENSIONS, Item, Skipped, entries_of
from search_back.inference.readers.files import FilesReader
from search_back.inference.report import Failure
from tests.inference.conftest import write_files


def pairs(folder: Path, **options: bool) -> list[tuple[str, str | None]]:
    """Picture and what its caption file holds, relative to the folder, in the reader's order."""
    found = []
    for item in entries_of(FilesReader(folder, **options)):
        assert isinstance(item, Item)
        name = Path(item.key).relative_to(folder.resolve()).as_posix()
        found.append((name, item.caption().decode() if item.caption else None))
    return found


def test_captions_pair_by_stem_within_a_folder(tmp_path: Path) -> None:
    names = ["a.b.jpg", "a.b.txt", "a.txt", "x.PNG", "x.TXT", "two.jpg", "two.png", "two.txt"]
    deeper = ["sub/only.jpg", "sub/x.webp", "sub/x.txt", "sub.2/only.txt", "sub.2/é ü.gif"]
    write_files(tmp_path, {name: name for name in [*names, *deeper, "sub.2/é ü.txt"]})
    assert pairs(tmp_path) == [
        ("a.b.jpg", "a.b.txt"),
        ("two.jpg", "two.txt"),
        ("two.png", "two.txt"),
        ("x.PNG", "x.TXT"),
        ("sub/only.jpg", None),
        ("sub/x.webp", "sub/x.txt"),
        ("sub.2/é ü.gif", "sub.2/é ü.txt"),
    ]


def test_composed_and_decomposed_names_pair(tmp_path: Path) -> None:
    composed, decomposed = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    write_files(tmp_path, {f"{composed}.jpg": b"", f"{decomposed}.txt": "yes"})
    assert pairs(tmp_path) == [(f"{composed}.jpg", "yes")]


def test_every_extension_is_read_and_hidden_files_are_not(tmp_path: Path) -> None:
    shown = [f"{i:02}.{extension}" for i, extension in enumerate(IMAGE_EXTENSIONS)]
    hidden = [".a.jpg", "._00.jpg", ".trash/b.jpg", "notes.md", "jpg", "c.jpg.part"]
    write_files(tmp_path, dict.fromkeys([*shown, *hidden], b""))
    assert pairs(tmp_path) == [(name, None) for name in shown]


def test_paths_are_absolute_and_the_root_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "in", {"a.jpg": b"1", "a.json": "{}"})
    monkeypatch.chdir(tmp_path)
    reader = FilesReader(Path("in"), metadata=True)
    (item,) = entries_of(reader)
    assert isinstance(item, Item)
    assert item.image_path == str(tmp_path.resolve() / "in" / "a.jpg")
    assert reader.image_root == str(tmp_path.resolve() / "in")
    assert item.image is not None and item.image() == b"1"
    assert item.metadata is not None and item.metadata() == b"{}"


def test_json_is_left_alone_unless_asked_for(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"", "a.json": "{}"})
    (item,) = entries_of(FilesReader(tmp_path))
    assert isinstance(item, Item) and item.metadata is None


def test_captions_alone_name_the_first_picture_of_their_stem(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.txt": "", "a.png": b"", "a.jpg": b"", "b.txt": "", "c.jpg": b""})
    items = [i for i in entries_of(FilesReader(tmp_path, pictures=False)) if isinstance(i, Item)]
    assert [(Path(i.key).name, i.image_path and Path(i.image_path).name) for i in items] == [
        ("a.txt", "a.jpg"),
        ("b.txt", None),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_linked_folders_are_not_entered_but_counted(tmp_path: Path) -> None:
    write_files(tmp_path, {"in/a.jpg": b"", "elsewhere/b.jpg": b""})
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "b.jpg")
    (tmp_path / "in" / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    reader = FilesReader(tmp_path / "in")
    skipped, *items = entries_of(reader)
    assert skipped == Skipped("linked folder")
    names = [Path(item.key).name for item in items if isinstance(item, Item)]
    assert names == ["a.jpg", "dangling.jpg", "link.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_unicode_fails_alone(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b""})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.jpg")).write_bytes(b"")
    good, bad = entries_of(FilesReader(tmp_path))
    assert isinstance(good, Item)
    assert isinstance(bad, Failure)
    assert bad.key.endswith("/b\\udcff.jpg") and "rename" in bad.reason


STEMS = st.text("aB.é '0-", min_size=1, max_size=4).filter(
    lambda s: not s.startswith(".") and s.strip(". ") == s
)
EXTENSIONS = st.sampled_from(["jpg", "PNG", "txt", "TXT", "json", "md"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "f/", "f/g/"]), STEMS, EXTENSIONS), max_size=12, unique=True
    )
)
def test_each_picture_comes_once_with_the_caption_of_its_stem(
    names: list[tuple[str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {f"{f}{s}.{e}": f"{f}{s}" for f, s, e in names})
        captions = {f"{f}{s}" for f, s, e in names if e.lower() == "txt"}
        expected = {
            f"{f}{s}.{e}": f"{f}{s}" if f"{f}{s}" in captions else None
            for f, s, e in names
            if e in ("jpg", "PNG")
        }
        found = pairs(Path(folder))
        assert len(found) == len(expected)
        assert dict(found) == expected
        assert found == pairs(Path(folder))
