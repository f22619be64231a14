"""What is an address, and what is behind it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_back.errors import ConfigError
from search_back.remote.addresses import (
    below,
    filesystem,
    is_remote,
    last_part,
    local_path,
    shown,
)
from tests.remote.conftest import Flaky


@pytest.mark.parametrize(
    "name", ["s3://bucket/a", "gs://b", "HTTP://h/a.tar", "memory://x", "abc+d.e-f://g"]
)
def test_a_scheme_makes_a_name_remote(name: str) -> None:
    assert is_remote(name)
    assert local_path(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "folder/a.tar",
        "/folder",
        "C:/folder",
        "c://folder",
        "C:\\folder",
        "a:b",
        "pipe:curl -s https://host/a.tar",
        "./s3://bucket",
        "",
    ],
)
def test_a_path_is_local(name: str) -> None:
    assert not is_remote(name)
    assert local_path(name) == Path(name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("file:///a/b.tar", "/a/b.tar"),
        ("FILE:///a/b%20c", "/a/b c"),
        ("file://localhost/a#1?", "/a#1?"),
        ("local:///a", "/a"),
    ],
)
def test_a_file_address_is_a_path(name: str, path: str) -> None:
    assert not is_remote(name)
    assert local_path(name) == Path(path)


@pytest.mark.parametrize("name", ["file://host/a", "file://relative", "file://"])
def test_a_file_address_of_another_machine_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="with three slashes"):
        local_path(name)


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))
def test_a_path_comes_back_from_its_address(name: str) -> None:
    path = Path("/folder", name)
    assert local_path(path.as_uri()) == path
    assert local_path(below("file:///folder", name)) == Path(f"/folder/{name}")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket/folder/a%20b?.tar", "a%20b?.tar"),
        ("s3://bucket/folder/", "folder"),
        ("https://host/x/a%20b.tar?key=a/b#c", "a b.tar"),
        ("file:///x/a%20b#c.tar", "a b#c.tar"),
        ("s3://bucket", "bucket"),
    ],
)
def test_the_last_part_is_the_name(url: str, name: str) -> None:
    assert last_part(url) == name


@pytest.mark.parametrize(
    ("folder", "name", "url"),
    [
        ("s3://bucket/x", "a b%.tar", "s3://bucket/x/a b%.tar"),
        ("s3://bucket/x/", "y/a", "s3://bucket/x/y/a"),
        ("memory://", "a", "memory://a"),
        ("file:///x", "a b%", "file:///x/a%20b%25"),
    ],
)
def test_a_name_is_put_below_a_folder(folder: str, name: str, url: str) -> None:
    assert below(folder, name) == url


def test_no_message_holds_a_password_or_a_signature() -> None:
    assert shown("sftp://me:secret@host/a@b") == "sftp://host/a@b"
    assert shown("https://host/a.tar?X-Signature=secret") == "https://host/a.tar?…"
    assert shown("s3://bucket/what?.tar") == "s3://bucket/what?.tar"


def test_the_scheme_may_be_in_capitals(flaky: Flaky) -> None:
    system, path = filesystem("MEMORY://Folder/A")
    assert (type(system).__name__, path) == ("MemoryFileSystem", "/Folder/A")


def test_without_fsspec_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError) as caught:
        filesystem("s3://bucket/a")
    assert str(caught.value) == (
        "s3:// addresses need fsspec (got: s3://bucket/a): pip install 'search_back[remote]'"
    )


@pytest.mark.parametrize(
    ("url", "module", "remedy"),
    [
        ("s3://bucket/a", "s3fs", "pip install s3fs"),
        ("gs://bucket/a", "gcsfs", "pip install gcsfs"),
        ("https://host/a", "aiohttp", "pip install 'search_back[remote]'"),
    ],
)
def test_without_the_part_for_a_scheme_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, remedy: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        filesystem(url)
    assert caught.value.remedy == remedy


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nosuch:// addresses cannot be read .*nosuch"):
        filesystem("nosuch://a")


def test_an_address_within_an_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="plain address"):
        filesystem("zip://a.txt::s3://bucket/a.zip")
