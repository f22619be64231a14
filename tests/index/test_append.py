"""Adding rows to an index that is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import BadFolder, ConfigError, EncoderMismatch, SearchBackError
from search_back.files import sha256_file
from search_back.index import append as append_module
from search_back.index import open_index
from search_back.index.append import append
from search_back.index.build import BuildSettings, build
from search_back.types import EncoderIdentity, FloatArray
from search_back.vectors import normalise
from tests.index.test_build import D, write_embeddings

N, MORE = 2_000, 300


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    return normalise(np.random.default_rng(4).standard_normal((N + 2 * MORE, D)))


@pytest.fixture(params=["Flat", "IVF16(PQ8x4fs,RFlat),PQ8x4fs,Refine(SQfp16)", "HNSW16"])
def folder(tmp_path: Path, vectors: FloatArray, request: pytest.FixtureRequest) -> Path:
    write_embeddings(tmp_path / "first", vectors[:N], parts=2)
    write_embeddings(tmp_path / "more", vectors[N : N + MORE])
    build(settings(tmp_path, "first", factory=request.param))
    return tmp_path


def settings(folder: Path, name: str, **changes: Any) -> BuildSettings:
    return BuildSettings(folder / name, folder / "index", **changes)


def state(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}


def paths(index: Path) -> list[str]:
    """The metadata column in the order of ids."""
    files = sorted((index / "metadata").glob("*.parquet"))
    return [path for file in files for path in pq.read_table(file)["image_path"].to_pylist()]


def test_rows_come_after_those_that_were_there(folder: Path, vectors: FloatArray) -> None:
    manifest = append(settings(folder, "more", command="again")).manifest
    total = N + MORE
    index = open_index(folder / "index/image.index")
    assert len(index) == total
    assert (index.search(vectors[:total], 1)[1][:, 0] == np.arange(total)).mean() > 0.97
    old = [f"{i}.jpg" for i in range(N)]
    assert paths(folder / "index") == old + [f"{i}.jpg" for i in range(MORE)]
    about = manifest["indices"]["image"]
    assert about["count"] == total
    assert about["measured"]["recall_at_10"]["image"] >= 0.94
    assert manifest["embeddings_folders"] == [str(folder / "first"), str(folder / "more")]
    assert manifest["command"] == "again"
    assert manifest == json.loads((folder / "index/index.json").read_text())
    assert sorted(p.name for p in folder.iterdir()) == ["first", "index", "more"]


@pytest.mark.parametrize("folder", ["Flat"], indirect=True)
class TestFlat:
    def test_again_and_again(self, folder: Path, vectors: FloatArray) -> None:
        for _ in range(11):
            append(settings(folder, "more"))
        more = [f"{i}.jpg" for i in range(MORE)] * 11
        assert paths(folder / "index") == [f"{i}.jpg" for i in range(N)] + more

    def test_without_the_older_embeddings_settings_stay(self, folder: Path) -> None:
        before = json.loads((folder / "index/index.json").read_text())["indices"]["image"]
        shutil.rmtree(folder / "first")
        report = append(settings(folder, "more"))
        assert report.manifest["indices"]["image"]["search"] == before["search"]
        assert any("stay as they were" in note for note in report.notes)

    def test_the_old_folder_is_intact_until_the_new_is_whole(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = state(folder / "index")

        def full(*_: object, **__: object) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(append_module, "publish_folder", full)
        with pytest.raises(OSError, match="full"):
            append(settings(folder, "more"))
        assert state(folder / "index") == before
        monkeypatch.undo()
        append(settings(folder, "more"))
        assert len(open_index(folder / "index/image.index")) == N + MORE

    @pytest.mark.parametrize(
        ("change", "error", "words"),
        [
            ("encoder", EncoderMismatch, "other"),
            ("no encoder", EncoderMismatch, "do not name"),
            ("text too", BadFolder, "image and text"),
            ("dimension", BadFolder, "16-d"),
            ("columns", BadFolder, "caption"),
            ("no metadata", BadFolder, "metadata"),
            ("own numbers", BadFolder, "numbers"),
            ("lists beside", BadFolder, "lists"),
            ("no index", BadFolder, "no index to add to"),
            ("arrow", BadFolder, "parquet"),
            ("factory", ConfigError, "--factory"),
        ],
    )
    def test_what_cannot_be_added_is_refused_in_words(
        self,
        folder: Path,
        vectors: FloatArray,
        change: str,
        error: type[SearchBackError],
        words: str,
    ) -> None:
        factory = break_it(folder, vectors, change)
        before = state(folder / "index")
        with pytest.raises(error, match=words):
            append(settings(folder, "more", factory=factory))
        assert state(folder / "index") == before


def break_it(folder: Path, vectors: FloatArray, change: str) -> str | None:
    """Make one thing about the rows to add, or the index, wrong; the factory to ask for."""
    more, index = folder / "more", folder / "index"
    about = json.loads((more / "embeddings.json").read_text())
    match change:
        case "encoder":
            about["encoder"] = EncoderIdentity("other", D, "c" * 64, "d" * 64).to_json()
            (more / "embeddings.json").write_text(json.dumps(about))
        case "no encoder":
            (more / "embeddings.json").unlink()
        case "text too":
            (more / "text_emb").mkdir()
            np.save(more / "text_emb/text_emb_0.npy", vectors[:MORE].astype(np.float16))
        case "dimension":
            np.save(more / "img_emb/img_emb_0.npy", np.ones((MORE, 8), np.float16))
        case "columns":
            table = pa.table({"caption": ["x"] * MORE})
            pq.write_table(table, more / "metadata/metadata_0.parquet")
        case "no metadata":
            shutil.rmtree(more / "metadata")
        case "own numbers" | "lists beside":
            (more / "embeddings.json").unlink()
            of_another_tool(index, vectors, beside=change == "lists beside")
        case "no index":
            (index / "image.index").unlink()
        case "arrow":
            for file in (index / "metadata").iterdir():
                file.rename(file.with_suffix(".arrow"))
        case "factory":
            return "IVF4,Flat"
    return None


def of_another_tool(index: Path, vectors: FloatArray, *, beside: bool) -> None:
    """Put an index there that is a folder, or numbers its vectors by itself."""
    (index / "index.json").unlink()
    (index / "image.index").unlink()
    if beside:
        (index / "image.index").mkdir()
        return
    raw = faiss.IndexIDMap(faiss.IndexFlatIP(D))
    raw.add_with_ids(vectors[:N], np.arange(N) + 5)
    faiss.write_index(raw, str(index / "image.index"))
