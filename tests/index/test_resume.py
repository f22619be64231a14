"""A build that is killed goes on, and answers as one that was not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from search_back.errors import BadFolder
from search_back.files import sha256_file
from search_back.index import build as build_module
from search_back.index import fill
from search_back.index.build import BuildSettings, build
from search_back.types import FloatArray
from search_back.vectors import normalise
from search_back.workfolder import holding
from tests.index.test_build import D, write_embeddings

FACTORY = "IVF32(PQ8x4fs,RFlat),PQ8x4fs,Refine(SQ8)"
# Dies by SIGKILL at the n-th time that it touches a file of the folder; says how often it did.
BUILD = """
import os, sys
from pathlib import Path
from search_back.index.build import BuildSettings, build

folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
seen = 0
def audit(event, args):
    global seen
    touches = event in ("os.rename", "os.link", "os.remove", "open", "os.mkdir")
    if touches and str(folder) in str(args[0]):
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), 9)
sys.addaudithook(audit)
build(BuildSettings(folder / "embeddings", folder / "index", factory=sys.argv[3], nb_cores=1,
                    checkpoint_rows=700, overwrite=True))
print(seen)
"""


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    return normalise(np.random.default_rng(0).standard_normal((3_000, D)))


@pytest.fixture
def folder(tmp_path: Path, vectors: FloatArray) -> Path:
    write_embeddings(tmp_path / "embeddings", vectors, parts=2)
    return tmp_path


def run(folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BUILD, str(folder), str(kill_at), FACTORY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def told(folder: Path) -> dict[str, Any]:
    """What a folder says of itself, but for times."""
    manifest: dict[str, Any] = json.loads((folder / "index/index.json").read_text())
    del manifest["created"]
    for about in manifest["indices"].values():
        for time in ("p50_ms", "p95_ms"):
            del about["measured"][time]
    return manifest


def test_a_killed_build_goes_on_and_ends_the_same(folder: Path) -> None:
    whole = run(folder, 0)
    assert whole.returncode == 0, whole.stderr
    expected, moments = told(folder), int(whole.stdout)
    # In the middle of writing files and between them, several times in one build.
    rng = random.Random(1)
    for _ in range(2):
        (folder / "index/index.json").unlink()  # so that the folder is seen to be replaced
        for kill_at in rng.sample(range(1, moments // 2), 4):
            died = run(folder, kill_at)
            assert died.returncode in (-signal.SIGKILL, 0), died.stderr
        finished = run(folder, 0)
        assert finished.returncode == 0, finished.stderr
        assert told(folder) == expected
        assert sorted(p.name for p in folder.iterdir()) == ["embeddings", "index"]


def settings(folder: Path, **changes: Any) -> BuildSettings:
    values = {"factory": FACTORY, "checkpoint_rows": 700, **changes}
    return BuildSettings(folder / "embeddings", folder / "index", **values)


class Stopping:
    """Stops a build in the middle of adding."""

    def __init__(self, after: int) -> None:
        self.left = after

    def start(self, step: str, total: int) -> None: ...

    def advance(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise KeyboardInterrupt


def test_finished_stages_are_not_done_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    train = fill._train
    monkeypatch.setattr(fill, "_train", lambda *a: trained.append(a[-1]) or train(*a))
    with pytest.raises(KeyboardInterrupt):
        build(settings(folder), progress=Stopping(3_000 + 2_000))
    kept = faiss.read_index(str(folder / ".index.work/image.index"))
    assert kept.ntotal == 1_500  # a partition is a block
    build(settings(folder))
    assert len(trained) == 1
    assert not (folder / ".index.work").exists()


def test_another_factory_begins_anew(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(settings(folder), progress=Stopping(3_000 + 2_000))
    report = build(settings(folder, factory="IVF8,Flat"))
    assert report.manifest["indices"]["image"]["kind"] == "IndexIVFFlat(8 lists)"


def test_other_embeddings_begin_anew(folder: Path, vectors: FloatArray) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(settings(folder), progress=Stopping(3_000 + 2_000))
    np.save(folder / "embeddings/img_emb/img_emb_0.npy", -vectors[:1_500].astype(np.float16))
    report = build(settings(folder))
    assert report.manifest["indices"]["image"]["measured"]["recall_at_10"]["image"] > 0.9


def test_what_is_measured_is_not_measured_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(build_module, "publish_folder", full)
    with pytest.raises(OSError, match="full"):
        build(settings(folder))
    monkeypatch.undo()
    made = sha256_file(folder / ".index.work/image.index")
    monkeypatch.setattr(build_module, "tune", full)
    manifest = build(settings(folder)).manifest
    assert manifest["checksums"]["image.index"] == made


def test_two_builds_of_one_folder_are_refused(folder: Path) -> None:
    with (
        holding(folder / "index", otherwise=BadFolder("held")),
        pytest.raises(BadFolder, match="another process"),
    ):
        build(settings(folder))
    build(settings(folder))


def test_a_publication_cut_between_its_renames_is_undone(folder: Path) -> None:
    build(settings(folder))
    before = told(folder)
    (folder / "index").rename(folder / ".index.0123abcd.old")
    (folder / ".index.4567abcd.part").mkdir()
    (folder / ".index.4567abcd.part/half").write_text("")
    with pytest.raises(BadFolder, match="--overwrite"):
        build(settings(folder))
    assert told(folder) == before
    build(settings(folder, overwrite=True))
    assert sorted(p.name for p in folder.iterdir()) == ["embeddings", "index"]
