"""Pictures with equal bytes are encoded once, and every one keeps its row."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_back.inference.duplicates import Duplicates
from search_back.types import FloatArray
from search_back.workfolder import work_folder
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import Result, read_result, tar_bytes, write_files
from tests.inference.mortal import Killed, Mortal
from tests.inference.running import at_last, contents, embed_cut

COUNT = 90
BROKEN = b"no picture"

once = partial(embed_cut, encode_duplicates_once=True)


class Counting(FakeEncoder):
    """Counts the pictures that it decodes and encodes."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.decoded = 0
        self.encoded = 0
        self._lock = threading.Lock()

    def preprocess(self, picture: bytes) -> FloatArray:
        with self._lock:
            self.decoded += 1
        return super().preprocess(picture)

    def encode_pixels(self, pixels: FloatArray) -> FloatArray:
        with self._lock:
            self.encoded += len(pixels)
        return super().encode_pixels(pixels)


@pytest.fixture(params=[0, 1], ids=["decoded ahead", "side by side"])
def counting(request: pytest.FixtureRequest) -> Counting:
    return Counting(threads=request.param)


def blobs() -> list[bytes]:
    """Of twenty pictures and one that is broken, most of them again and again."""
    rng = random.Random(3)
    known = [picture_bytes((i * 12, 255 - i * 7, i)) for i in range(20)] + [BROKEN]
    return [known[int(rng.random() ** 2 * len(known))] for _ in range(COUNT)]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Every one with a caption of its own, a third of them with metadata."""
    files: dict[str, bytes | str] = {}
    for i, data in enumerate(blobs()):
        files[f"{i // 40}/{i:03}.png"] = data
        files[f"{i // 40}/{i:03}.txt"] = f"caption {i}"
        if i % 3 == 0:
            files[f"{i // 40}/{i:03}.json"] = f'{{"n": {i}}}'
    return write_files(tmp_path / "pictures", files)


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    folder = tmp_path / "tars"
    folder.mkdir()
    several = blobs()
    for t in range(3):
        members: list[tuple[str, bytes | str]] = []
        for i in range(t, COUNT, 3):
            members += [(f"{i}.png", several[i])]
            members += [(f"{i}.txt", str(i))] if i % 5 else []
        (folder / f"{t}.tar").write_bytes(tar_bytes(members))
    return folder


def by_bytes(result: Result) -> dict[bytes, list[int]]:
    """The rows of each picture."""
    found: dict[bytes, list[int]] = {}
    for row, path in enumerate(result.column("image_path")):
        found.setdefault(Path(path).read_bytes(), []).append(row)
    return found


def test_every_row_is_kept_and_every_picture_encoded_once(
    pictures: Path, tmp_path: Path, counting: Counting
) -> None:
    plain = embed_cut(pictures, tmp_path / "plain", FakeEncoder())
    report = once(pictures, tmp_path / "once", counting)
    expected, found = read_result(tmp_path / "plain"), read_result(tmp_path / "once")
    assert found.metadata.equals(expected.metadata)
    assert found.image is not None and found.text is not None
    np.testing.assert_allclose(found.image, expected.image, atol=1e-3)
    np.testing.assert_array_equal(found.text, expected.text)
    assert len(np.unique(found.text, axis=0)) == plain.count
    groups = by_bytes(found)
    for rows in groups.values():
        assert (found.image[rows] == found.image[rows[0]]).all()
    assert (counting.decoded, counting.encoded) == (len(groups) + 1, len(groups))
    copies = plain.count - len(groups)
    assert report.duplicates == found.manifest["duplicates"] == copies
    assert f"{copies} pictures have the bytes of an earlier one, and its vector" in report.notes
    assert (plain.duplicates, expected.manifest["duplicates"]) == (0, 0)
    again = once(pictures, tmp_path / "once", counting)
    assert again.duplicates == copies


def test_a_copy_fails_as_the_first_one_did(
    pictures: Path, tmp_path: Path, counting: Counting
) -> None:
    plain = embed_cut(pictures, tmp_path / "plain", FakeEncoder())
    once(pictures, tmp_path / "once", counting)
    expected, found = read_result(tmp_path / "plain"), read_result(tmp_path / "once")
    assert plain.failures == len(found.failures) > 1
    assert {row["key"]: row for row in found.failures} == {
        row["key"]: row for row in expected.failures
    }


@pytest.mark.parametrize("threads", [0, 1])
def test_a_vector_that_points_nowhere_costs_the_copies_too(threads: int, tmp_path: Path) -> None:
    class Nowhere(FakeEncoder):
        def encode_pixels(self, pixels: FloatArray) -> FloatArray:
            vectors = super().encode_pixels(pixels)
            vectors[pixels[:, 2, 0, 0] == 1] = np.nan
            return vectors

    colours = ["blue", "red", "blue", "red", "lime", "blue", "lime"]
    files: dict[str, bytes | str] = {f"{i}.png": picture_bytes(c) for i, c in enumerate(colours)}
    report = once(write_files(tmp_path / "in", files), tmp_path / "out", Nowhere(threads=threads))
    found = read_result(tmp_path / "out")
    assert [Path(path).name for path in found.column("image_path")] == [
        *("1.png", "3.png", "4.png", "6.png")
    ]
    expected = FakeEncoder().encode_texts(["red", "red", "lime", "lime"])
    np.testing.assert_allclose(found.image, expected, atol=1e-3)
    assert {(Path(f["key"]).name, f["stage"]) for f in found.failures} == {
        (f"{i}.png", "encode") for i in (0, 2, 5)
    }
    assert len({f["reason"] for f in found.failures}) == 1
    assert report.duplicates == 2


def test_a_picture_left_out_for_its_caption_is_no_first_one(
    tmp_path: Path, counting: Counting
) -> None:
    files: dict[str, bytes | str] = {f"{i}.png": picture_bytes("red") for i in range(5)}
    files |= {"1.txt": b"\xff", "2.txt": "red", "3.txt": "lime", "4.txt": "blue"}
    folder = write_files(tmp_path / "in", files)
    report = once(folder, tmp_path / "out", counting, enable_text=True)
    found = read_result(tmp_path / "out")
    assert found.column("caption") == ["red", "lime", "blue"]
    np.testing.assert_allclose(found.image, counting.encode_texts(["red"] * 3), atol=1e-3)
    assert (report.duplicates, report.dropped, counting.decoded) == (2, 2, 1)


def newest(several: Sequence[bytes], remembered: int) -> int:
    """How many of these pictures are encoded."""
    known: OrderedDict[bytes, None] = OrderedDict()
    encoded = 0
    for data in several:
        if data not in known:
            encoded += data != BROKEN
            known[data] = None
            if len(known) > remembered:
                known.popitem(last=False)
    return encoded


@pytest.mark.parametrize("remembered", [1, 2, 7, 1000])
def test_only_the_newest_are_remembered(
    remembered: int,
    pictures: Path,
    tmp_path: Path,
    counting: Counting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "search_back.inference.job.Duplicates", partial(Duplicates, remembered=remembered)
    )
    report = once(pictures, tmp_path / "once", counting)
    embed_cut(pictures, tmp_path / "plain", FakeEncoder())
    assert counting.encoded == newest(blobs(), remembered) == report.count - report.duplicates
    found, expected = read_result(tmp_path / "once"), read_result(tmp_path / "plain")
    np.testing.assert_allclose(found.image, expected.image, atol=1e-3)


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("source", ["pictures", "tars"])
@pytest.mark.parametrize("remembered", [4, 1000])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"checkpoint_seconds": 1000},  # shards of several batches
        {"enable_text": True, "subset_size": 60},
    ],
)
def test_stopped_at_every_batch_it_ends_in_the_same_bytes(
    threads: int,
    source: str,
    remembered: int,
    changes: dict[str, Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "search_back.inference.job.Duplicates", partial(Duplicates, remembered=remembered)
    )
    folder = request.getfixturevalue(source)
    expected = once(folder, tmp_path / "whole", Mortal(threads=threads), **changes)
    out = tmp_path / "out"
    report = at_last(lambda: once(folder, out, Mortal(3, threads=threads), **changes), out)
    assert contents(out) == contents(tmp_path / "whole")
    assert report.duplicates == expected.duplicates > 5
    assert (report.failures, report.notes) == (expected.failures, expected.notes)


def test_a_damaged_digest_is_made_again(pictures: Path, tmp_path: Path) -> None:
    once(pictures, tmp_path / "whole", Mortal())
    out = tmp_path / "out"
    with pytest.raises(Killed):
        once(pictures, out, Mortal(5))
    digests = sorted(work_folder(out).rglob("digests"))
    digests[1].write_bytes(bytes(len(digests[1].read_bytes())))
    once(pictures, out, Mortal())
    assert contents(out) == contents(tmp_path / "whole")


def test_without_the_option_nothing_is_looked_at(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search_back.inference.pipeline.digested", None)
    monkeypatch.setattr("search_back.inference.pipeline.read_ahead", None)
    monkeypatch.setattr("search_back.inference.job.Duplicates", None)
    with pytest.raises(Killed):
        embed_cut(pictures, tmp_path / "out", Mortal(5))
    assert not list(work_folder(tmp_path / "out").rglob("digests"))
    captions = once(pictures, tmp_path / "texts", FakeEncoder(), enable_image=False)
    assert (captions.count, captions.duplicates) == (COUNT, 0)


def test_copies_do_not_make_a_batch_endless(tmp_path: Path, counting: Counting) -> None:
    batches: list[int] = []
    encode_texts = counting.encode_texts

    def watched(texts: Sequence[str]) -> FloatArray:
        batches.append(len(texts))
        return encode_texts(texts)

    counting.encode_texts = watched  # type: ignore[method-assign]
    files: dict[str, bytes | str] = {}
    for i in range(100):
        files |= {f"{i:02}.png": picture_bytes("red"), f"{i:02}.txt": str(i)}
    report = once(write_files(tmp_path / "in", files), tmp_path / "out", counting, batch_size=8)
    assert (report.count, report.duplicates, counting.encoded) == (100, 99, 1)
    assert sorted(batches) == [4, 32, 32, 32]
