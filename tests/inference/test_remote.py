"""Inputs and outputs elsewhere: fsspec's filesystem in memory, a web server of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.config import Limits
from search_back.encoders.foresee import Foreseen
from search_back.errors import BadFolder, ConfigError, FetchRefused
from search_back.inference import InferenceSettings, look_ahead
from search_back.services.linked_pictures import linked_pictures
from tests.fakes import picture_bytes
from tests.inference.conftest import Result, read_result, tar_bytes, write_files
from tests.inference.mortal import Killed, Mortal
from tests.inference.running import contents, embed
from tests.remote.web import serving

COLOURS = ["red", "lime", "blue", "yellow", "cyan"]


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's filesystem in memory, empty."""
    system = fsspec.filesystem("memory")
    yield system
    for path in system.find("/", withdirs=True):
        if system.exists(path):
            system.rm(path, recursive=True)


def put(system: fsspec.AbstractFileSystem, files: dict[str, bytes | str]) -> None:
    for name, content in files.items():
        system.pipe_file(name, content.encode() if isinstance(content, str) else content)


def members(colours: list[str]) -> list[tuple[str, bytes | str]]:
    return [
        member
        for i, colour in enumerate(colours)
        for member in ((f"{colour}-{i}.jpg", picture_bytes(colour)), (f"{colour}-{i}.txt", colour))
    ]


def test_a_folder_of_pictures(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for i, colour in enumerate(COLOURS):
        files[f"/bucket/{i % 2}/{i}.png"] = picture_bytes(colour)
        files[f"/bucket/{i % 2}/{i}.txt"] = colour
    files |= {"/bucket/.hidden/a.png": b"", "/bucket/1/.b.png": b"", "/bucket/1/bad.png": b"?"}
    put(memory, files)
    report = embed("memory://bucket", tmp_path / "out")
    assert not report.has_text and "--enable-text True" in report.notes[0]
    result = read_result(tmp_path / "out")
    assert result.column("caption") == ["red", "blue", "cyan", "lime", "yellow"]
    assert result.column("image_path")[0] == "memory://bucket/0/0.png"
    assert [f["key"] for f in result.failures] == ["memory://bucket/1/bad.png"]


def test_tars_are_copied_in_their_turn_and_one_that_is_lost_is_listed(
    tmp_path: Path,
) -> None:
    with serving() as web:
        for i, colour in enumerate(COLOURS):
            web.files[f"/{i}.tar"] = tar_bytes(members([colour]))
        del web.files["/2.tar"]
        cache = tmp_path / "cache"
        with pytest.raises(Exception, match=r"2\.tar"):
            embed(f"{web.url}/{{0..4}}.tar", tmp_path / "out", cache_path=cache)
        web.files["/2.tar"] = tar_bytes(members(["blue"]))
        for number in ("one", "two"):
            report = embed(
                f"{web.url}/{{0..4}}.tar", tmp_path / number, cache_path=cache, enable_text=True
            )
            assert (report.count, report.failures) == (5, 0)
        assert read_result(tmp_path / "two").column("caption") == COLOURS
        assert len(web.gets("/3.tar")) == 1, "a copy that was kept came again"


def test_a_run_that_goes_on_copies_only_what_it_needs(tmp_path: Path) -> None:
    with serving() as web:
        for i in range(5):
            web.files[f"/{i}.tar"] = tar_bytes(members(COLOURS))
        source = f"{web.url}/{{0..4}}.tar"
        with pytest.raises(Killed):
            embed(source, tmp_path / "out", Mortal(11), batch_size=2)
        before = web.gets("/0.tar"), web.gets("/1.tar")
        embed(source, tmp_path / "out", Mortal())
        assert (web.gets("/0.tar"), web.gets("/1.tar")) == before
        embed(source, tmp_path / "whole", Mortal())
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_tables_and_the_pictures_they_link_to(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    urls = []
    for colour in COLOURS:
        memory.pipe_file(f"/pictures/{colour}.png", picture_bytes(colour))
        urls.append(f"memory://pictures/{colour}.png")
    table = pa.table({"url": [*urls, "memory://pictures/none.png"], "TEXT": [*COLOURS, "none"]})
    pq.write_table(table, tmp_path / "t.parquet")
    memory.put_file(str(tmp_path / "t.parquet"), "/tables/t.parquet")
    out = tmp_path / "out"
    report = embed("memory://tables", out, fetch=linked_pictures(Limits()))
    result = read_result(out)
    assert result.column("url") == urls and result.column("caption") == COLOURS
    assert result.manifest["input"] == ["memory://tables/t.parquet"]
    assert report.has_text and report.failures == 1
    again = embed("memory://tables", out, Mortal(1), fetch=linked_pictures(Limits()))
    assert "nothing was done" in again.notes[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "t.parquet"]


def test_tables_of_strangers_reach_no_private_address() -> None:
    with serving() as web, pytest.raises(FetchRefused):
        linked_pictures(Limits())(f"{web.url}/a.png")
    with serving() as web:
        web.files["/a.png"] = b"picture"
        allowed = linked_pictures(Limits(allow_private_addresses=True))
        assert allowed(f"{web.url}/a.png") == b"picture"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    files: dict[str, bytes | str] = {}
    for i, colour in enumerate(COLOURS * 4):
        files[f"{i:02}.png"] = picture_bytes(colour)
        files[f"{i:02}.txt"] = colour
    return write_files(tmp_path / "pictures", files)


def downloaded(system: fsspec.AbstractFileSystem, url: str, to: Path) -> Result:
    system.get(url, str(to), recursive=True)
    return read_result(to)


def test_an_output_elsewhere(
    memory: fsspec.AbstractFileSystem, pictures: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    url = "memory://bucket/out"
    report = embed(str(pictures), url, cache_path=cache)
    assert report.output_folder == url
    result = downloaded(memory, "/bucket/out", tmp_path / "down")
    assert result.column("caption") == COLOURS * 4
    embed(str(pictures), tmp_path / "whole")
    assert contents(tmp_path / "down") == contents(tmp_path / "whole")
    assert not list((cache / "outputs").iterdir()), "what was sent is left here"

    again = embed(str(pictures), url, Mortal(1), cache_path=cache)
    assert "nothing was done" in again.notes[0] and again.count == 20
    with pytest.raises(ConfigError, match="--overwrite"):
        embed(str(pictures), url, cache_path=cache, batch_size=3)
    embed(str(pictures), url, cache_path=cache, subset_size=3, overwrite=True)
    assert json.loads(memory.cat_file("/bucket/out/embeddings.json"))["count"] == 3


def test_a_killed_run_for_an_output_elsewhere_goes_on(
    memory: fsspec.AbstractFileSystem,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, url = tmp_path / "cache", "memory://bucket/out"
    with pytest.raises(Killed):
        embed(str(pictures), url, Mortal(4), cache_path=cache)
    assert not memory.exists("/bucket/out")
    rest = Mortal()
    put_file = type(memory).put_file

    def dying(self: Any, source: str, target: str, **options: Any) -> None:
        if "metadata" in source:
            raise Killed
        put_file(self, source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", dying)
        with pytest.raises(Killed):
            embed(str(pictures), url, rest, cache_path=cache)
    assert rest.calls == 27, "30 in all, 3 of them for the batch that was done"
    assert not memory.exists("/bucket/out/embeddings.json")
    embed(str(pictures), url, Mortal(1), cache_path=cache)
    downloaded(memory, "/bucket/out", tmp_path / "down")
    embed(str(pictures), tmp_path / "whole", Mortal())
    assert contents(tmp_path / "down") == contents(tmp_path / "whole")


def test_foreign_files_elsewhere_are_left_alone(
    memory: fsspec.AbstractFileSystem, pictures: Path, tmp_path: Path
) -> None:
    memory.pipe_file("/bucket/out/mine.txt", b"mine")
    with pytest.raises(ConfigError, match="no whole result"):
        embed(str(pictures), "memory://bucket/out", cache_path=tmp_path / "c", overwrite=True)
    assert memory.cat_file("/bucket/out/mine.txt") == b"mine"


def test_a_dry_run_copies_nothing(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.pipe_file("/bucket/0.tar", tar_bytes(members(COLOURS)))
    settings = InferenceSettings(("memory://bucket/0.tar",), "memory://bucket/out")
    seen = look_ahead(settings, Foreseen("fake", "numpy", "fp32", 8))
    assert (seen.items, seen.exists, seen.output_folder) == (None, False, "memory://bucket/out")
    assert not list(tmp_path.iterdir())


def test_a_missing_input_elsewhere_makes_no_folders(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    put(memory, {"/tables/a.csv": "url\n"})
    for source in ("memory://tables/b.csv", "memory://tables/{a.csv,b.tar}"):
        with pytest.raises(BadFolder):
            embed(source, tmp_path / "deep" / "out")
    assert not list(tmp_path.iterdir())
