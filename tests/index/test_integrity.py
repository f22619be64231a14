"""Files that are not those that were built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search_back.config import IndexOptions
from search_back.errors import CorruptFile
from search_back.files import read_json, write_json
from search_back.index import integrity
from search_back.index.build import BuildSettings, build
from search_back.index.integrity import check_seal, seal, verify
from search_back.services import open_snapshot
from search_back.vectors import normalise
from tests.index.test_build import D, write_embeddings


@pytest.fixture
def index(tmp_path: Path) -> Path:
    vectors = normalise(np.random.default_rng(0).standard_normal((300, D)))
    write_embeddings(tmp_path / "embeddings", vectors)
    build(BuildSettings(tmp_path / "embeddings", tmp_path / "index"))
    return tmp_path / "index"


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def swap(file: Path) -> None:
    rows = normalise(np.random.default_rng(1).standard_normal((300, D)))
    write_embeddings(file.parent.parent / "other", rows)
    build(BuildSettings(file.parent.parent / "other", file.parent.parent / "other_index"))
    file.write_bytes((file.parent.parent / "other_index" / file.name).read_bytes())


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.write_bytes(file.read_bytes() + b"\0"),
        flip,
        swap,
    ],
    ids=["empty", "truncated", "longer", "flipped", "swapped"],
)
def test_a_damaged_index_is_not_served(
    index: Path, damage: Callable[[Path], object], mapped: bool
) -> None:
    options = IndexOptions(index, enable_faiss_memory_mapping=mapped)
    open_snapshot("things", options).close()
    damage(index / "image.index")
    with pytest.raises(CorruptFile, match=r"image\.index"):
        open_snapshot("things", options)


def test_a_folder_without_seals_is_served(index: Path) -> None:
    manifest = read_json(index / "index.json")
    for name in ("seals", "checksums"):
        del manifest[name]
    write_json(index / "index.json", manifest)
    open_snapshot("things", IndexOptions(index)).close()
    assert verify(index, manifest) == 0


def test_every_byte_is_compared_on_request(index: Path) -> None:
    manifest = read_json(index / "index.json")
    assert verify(index, manifest) == 2
    flip(index / "metadata/metadata_0.parquet")
    with pytest.raises(CorruptFile, match=r"metadata_0\.parquet"):
        verify(index, manifest)
    (index / "metadata/metadata_0.parquet").unlink()
    with pytest.raises(CorruptFile, match="missing"):
        verify(index, manifest)


def test_of_a_large_file_samples_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "READ_WHOLE", 1_000)
    monkeypatch.setattr(integrity, "SAMPLE_BYTES", 10)
    file = tmp_path / "large"
    data = np.random.default_rng(0).bytes(10_000)
    file.write_bytes(data)
    manifest = {"seals": {"large": seal(file)}}
    check_seal(tmp_path, "large", manifest)
    for at in (0, 9_999):
        changed = bytearray(data)
        changed[at] ^= 255
        file.write_bytes(changed)
        with pytest.raises(CorruptFile, match="large"):
            check_seal(tmp_path, "large", manifest)
    file.write_bytes(np.random.default_rng(1).bytes(10_000))
    with pytest.raises(CorruptFile, match="contents"):
        check_seal(tmp_path, "large", manifest)
