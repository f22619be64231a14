from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from search_back.inference.items import Item, Skipped, entries_of
from search_back.inference.readers.webdataset import WebdatasetReader, split_member
from search_back.inference.report import Failure
from tests.inference.conftest import tar_bytes

Members = list[tuple[str, bytes | str]]


def samples(count: int, size: int = 700) -> Members:
    return [
        member
        for i in range(count)
        for member in ((f"{i:03}.jpg", bytes([i]) * size), (f"{i:03}.txt", f"caption {i}"))
    ]


def read(reader: WebdatasetReader) -> tuple[list[tuple[str, bytes, str | None]], list[Failure]]:
    found, failures = [], []
    for item in entries_of(reader):
        if isinstance(item, Failure):
            failures.append(item)
            continue
        if isinstance(item, Skipped):
            continue
        assert item.image is not None
        caption = item.caption().decode() if item.caption else None
        found.append((item.key, item.image(), caption))
    return found, failures


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_samples_come_in_order(tmp_path: Path, name: str) -> None:
    data = tar_bytes(samples(3))
    path = write(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    found, failures = read(WebdatasetReader([path]))
    assert not failures
    assert found == [(f"{i:03}", bytes([i]) * 700, f"caption {i}") for i in range(3)]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("000.jpg", ("000", "jpg")),
        ("a.d/b/000.SEG.png", ("a.d/b/000", "seg.png")),
        ("./000.jpg", ("./000", "jpg")),
        ("a/._000.jpg", ("a/._000.jpg", "")),
        ("plain", ("plain", "")),
    ],
)
def test_the_key_ends_at_the_first_dot_of_the_last_part(name: str, parts: tuple[str, str]) -> None:
    assert split_member(name) == parts


def test_the_picture_falls_back_to_known_extensions(tmp_path: Path) -> None:
    members: Members = [
        *(("0.png", b"png"), ("0.jpg", b"jpg")),
        *(("1.cls", "7"), ("1.webp", b"webp")),
        ("2.JPEG", b"jpeg"),
        *(("a.b.gif", b"gif"), ("a.b.txt", "dotted")),
        ("3.txt", "no picture"),
        *((".hidden.jpg", b"hidden"), ("._0.jpg", b"mac")),
    ]
    reader = WebdatasetReader([write(tmp_path / "x.tar", tar_bytes(members))])
    found, failures = read(reader)
    assert not failures
    assert found == [
        ("0", b"jpg", None),
        ("1", b"webp", None),
        ("2", b"jpeg", None),
        ("a", b"gif", "dotted"),
    ]
    skipped = [entry for entry in entries_of(reader) if isinstance(entry, Skipped)]
    assert skipped == [Skipped("no picture")]


def test_keys_of_the_members_can_be_chosen(tmp_path: Path) -> None:
    members: Members = [("0.jpg", b"a"), ("0.mask.png", b"b"), ("0.alt", "alt"), ("0.txt", "txt")]
    path = write(tmp_path / "x.tar", tar_bytes(members))
    reader = WebdatasetReader([path], image_key="mask.png", caption_key="alt")
    assert read(reader)[0] == [("0", b"b", "alt")]


def test_a_key_that_repeats_makes_two_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", tar_bytes([("0.jpg", b"1"), ("0.jpg", b"2")]))
    assert [data for _, data, _ in read(WebdatasetReader([path]))[0]] == [b"1", b"2"]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_tar_loses_its_tail_only(tmp_path: Path, compressed: bool) -> None:
    members = samples(40)
    whole = tar_bytes(members)
    if compressed:
        cut = write(tmp_path / "cut.tar.gz", gzip.compress(whole)[:-40])
    else:
        cut = write(tmp_path / "cut.tar", whole[: len(tar_bytes(members[:60])) - 10000])
    good = write(tmp_path / "good.tar", tar_bytes([("z.jpg", b"z")]))
    found, failures = read(WebdatasetReader([cut, good]))
    assert [failure.key for failure in failures] == [str(cut)]
    assert failures[0].stage == "read" and "ends early" in failures[0].reason
    assert 20 < len(found) < 42
    assert [key for key, _, _ in found] == [f"{i:03}" for i in range(len(found) - 1)] + ["z"]
    assert all(caption for key, _, caption in found if key != "z"), "a sample came without its end"


@pytest.mark.parametrize("picture_first", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_any_cut_is_noticed_and_costs_no_whole_sample(
    tmp_path: Path, compressed: bool, picture_first: bool
) -> None:
    members = samples(3)
    if not picture_first:
        members = [members[i ^ 1] for i in range(len(members))]
    whole = tar_bytes(members)
    # A sample: header, 700 bytes in two blocks, header, a block of caption. Then the end mark.
    length = 512 + 1024 + 512 + 512
    for cut_at in range(0, 3 * length + 1, 128):
        cut = whole[:cut_at]
        path = write(tmp_path / "x.tar", gzip.compress(cut, 1) if compressed else cut)
        reader = WebdatasetReader([path])
        found, failures = read(reader)
        assert len(failures) == 1, f"cut at {cut_at}"
        assert len(found) == cut_at // length, f"cut at {cut_at}"
        assert all(caption for _, _, caption in found)
        scan = [e.key for e in entries_of(reader, scan=True) if not isinstance(e, Skipped)]
        assert scan == [e.key for e in entries_of(reader) if not isinstance(e, Skipped)]


def test_a_damaged_header_is_noticed(tmp_path: Path) -> None:
    data = bytearray(tar_bytes(samples(3)))
    second = 512 + 1024 + 512 + 512
    data[second : second + 100] = b"#" * 100
    found, failures = read(WebdatasetReader([write(tmp_path / "x.tar", bytes(data))]))
    assert [key for key, _, _ in found] == ["000"]
    assert "damaged header" in failures[0].reason


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 100])
def test_what_is_no_tar_is_a_failure(tmp_path: Path, data: bytes) -> None:
    found, failures = read(WebdatasetReader([write(tmp_path / "x.tar", data)]))
    assert not found and failures[0].key == str(tmp_path / "x.tar")


def test_an_empty_tar_is_no_failure(tmp_path: Path) -> None:
    assert read(WebdatasetReader([write(tmp_path / "x.tar", tar_bytes([]))])) == ([], [])


def test_a_link_is_a_failure(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("0.jpg")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"a"))
        link = tarfile.TarInfo("1.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "0.jpg"
        tar.addfile(link)
    found, failures = read(WebdatasetReader([tmp_path / "x.tar"]))
    assert [key for key, _, _ in found] == ["0"]
    assert [failure.key for failure in failures] == ["1.jpg"]


def test_a_scan_reads_captions_but_no_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", tar_bytes(samples(2)))
    items = [i for i in entries_of(WebdatasetReader([path]), scan=True) if isinstance(i, Item)]
    assert [item.image for item in items] == [None, None]
    assert [item.caption and item.caption() for item in items] == [b"caption 0", b"caption 1"]
