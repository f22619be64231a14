"""What an index folder tells of its quality."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from search_back.cli import main
from search_back.errors import BadFolder, CorruptFile
from search_back.index.build import BuildSettings, build
from search_back.index.score import score
from search_back.vectors import normalise
from tests.index.test_build import D, write_embeddings

EXACT, ROUGH = "IVF16,PQ8x4fs,Refine(SQfp16)", "IVF16,SQ8"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two indices of the same embeddings: `exact` and `rough`."""
    folder = tmp_path_factory.mktemp("score")
    vectors = normalise(np.random.default_rng(0).standard_normal((2_000, D)))
    write_embeddings(folder / "embeddings", vectors, text=True)
    for name, factory in (("exact", EXACT), ("rough", ROUGH)):
        build(BuildSettings(folder / "embeddings", folder / name, factory=factory))
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def test_it_tells_what_was_measured(built: Path) -> None:
    manifest = json.loads((built / "exact/index.json").read_text())
    found = score(built / "exact")
    assert found.encoder == "tiny"
    assert found.indices == manifest["indices"]
    assert found.checked is None


def test_measured_again_the_recall_is_the_same(built: Path) -> None:
    for name in ("exact", "rough"):
        before, again = score(built / name), score(built / name, measure_again=True)
        for k in (1, 10, 100):
            for modality in ("image", "text"):
                recall = f"recall_at_{k}"
                told = before.indices[modality]["measured"][recall]
                assert again.indices[modality]["measured"][recall] == told


def test_exact_vectors_of_the_index_will_do(folder: Path) -> None:
    manifest = json.loads((folder / "exact/index.json").read_text())
    manifest["embeddings_folders"] = [str(folder / "gone")]
    (folder / "exact/index.json").write_text(json.dumps(manifest))
    again = score(folder / "exact", measure_again=True)
    told = manifest["indices"]["image"]["measured"]["recall_at_10"]
    for kind, value in again.indices["image"]["measured"]["recall_at_10"].items():
        assert value == pytest.approx(told[kind], abs=0.01)


def test_without_exact_vectors_they_are_asked_for(folder: Path) -> None:
    (folder / "rough/index.json").unlink()
    with pytest.raises(BadFolder, match="--embeddings-folder"):
        score(folder / "rough", measure_again=True)
    again = score(folder / "rough", measure_again=True, embeddings=[folder / "embeddings"])
    assert again.indices["image"]["measured"]["queries"] == 256


def test_embeddings_of_another_index_are_refused(folder: Path) -> None:
    other = write_embeddings(folder / "other", np.eye(D, dtype=np.float32), text=True)
    with pytest.raises(BadFolder, match="2000 vectors"):
        score(folder / "exact", measure_again=True, embeddings=[other])


def test_a_folder_without_a_description_has_no_figures(folder: Path) -> None:
    (folder / "rough/index.json").unlink()
    found = score(folder / "rough", check=True)
    assert found.checked == 0
    assert found.indices["image"]["count"] == 2_000
    assert len(list(found.rows())) == 3


def test_checksums_are_compared_on_request(folder: Path) -> None:
    assert score(folder / "exact", check=True).checked == 3
    (folder / "exact/metadata/metadata_0.parquet").write_bytes(b"other")
    assert score(folder / "exact").checked is None
    with pytest.raises(CorruptFile, match="metadata_0"):
        score(folder / "exact", check=True)


def test_folders_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="does not exist"):
        score(tmp_path / "absent")
    with pytest.raises(BadFolder, match="no index"):
        score(tmp_path)


def test_the_command_prints_a_table(built: Path) -> None:
    result = CliRunner().invoke(main, ["score", str(built / "exact"), "--verify"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["index", "vectors", "kind"]
    assert [line.split()[0] for line in lines[1:]] == ["image", "image", "text", "text"]
    recall = score(built / "exact").indices["image"]["measured"]["recall_at_10"]["image"]
    assert f"{recall:.3f}" in lines[1].split()
    assert "3 files" in result.stderr


def test_the_command_prints_json(built: Path) -> None:
    result = CliRunner().invoke(main, ["score", str(built / "rough"), "--json"])
    assert json.loads(result.stdout)["indices"]["image"]["factory"] == ROUGH
