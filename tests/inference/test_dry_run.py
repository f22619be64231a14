"""What a run would do, told without doing it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from search_back.cli import main
from search_back.encoders import load_encoder
from search_back.encoders.foresee import Foreseen, foresee
from search_back.errors import (
    BadFolder,
    ConfigError,
    EncoderMismatch,
    ModelUnavailable,
    NothingToDo,
)
from search_back.inference import InferenceSettings, Outlook, look_ahead, run
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import tar_bytes, write_files

ENCODER = Foreseen("fake", "numpy", "fp32", 8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, two of them with a caption."""
    files: dict[str, bytes | str] = {f"{i}.png": picture_bytes("red") for i in range(3)}
    return write_files(tmp_path / "in", {**files, "0.txt": "a", "1.txt": "b"})


def look(source: object, out: Path, **changes: Any) -> Outlook:
    return look_ahead(InferenceSettings((str(source),), out, **changes), ENCODER)


@pytest.mark.parametrize("text", [None, True, False])
def test_it_says_what_the_run_does(pictures: Path, tmp_path: Path, text: bool | None) -> None:
    out = tmp_path / "deep" / "out"
    seen = look(pictures, out, enable_text=text)
    assert (seen.items, seen.captions, seen.exists, seen.replaces) == (3, 2, False, False)
    assert not out.parent.exists(), "a dry run wrote"
    report = run(InferenceSettings((str(pictures),), out, enable_text=text), FakeEncoder())
    assert (seen.rows, seen.image, seen.text) == (report.count, report.has_image, report.has_text)
    assert seen.output_folder == report.output_folder
    assert look(pictures, out, overwrite=True).replaces


def test_tars_are_counted_with_a_scan(tmp_path: Path) -> None:
    tar = tmp_path / "x.tar"
    tar.write_bytes(tar_bytes([("0.png", picture_bytes("red")), ("1.png", picture_bytes("red"))]))
    seen = look(tar, tmp_path / "out", enable_text=False)
    assert (seen.items, seen.captions, seen.rows) == (2, 0, 2)
    assert seen.disk_bytes == 2 * (8 * 2 + 100)


def test_commands_are_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    seen = look(f"pipe:touch {mark}", tmp_path / "out")
    assert seen.items is None and seen.rows is None and seen.disk_bytes is None
    assert not mark.exists()


def test_bad_inputs_fail_as_in_a_run(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadFolder):
        look(tmp_path / "none", out)
    with pytest.raises(NothingToDo):
        look(write_files(tmp_path / "empty", {}), out)
    write_files(out, {"mine.txt": "mine"})
    with pytest.raises(ConfigError, match=r"mine\.txt"):
        look(pictures, out)
    settings = InferenceSettings((str(pictures),), tmp_path / "new")
    with pytest.raises(EncoderMismatch):
        look_ahead(settings, ENCODER, text_encoder=Foreseen("other", "torch", "fp32", 9))


def test_the_command_loads_no_torch(pictures: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from search_back.cli import main\n"
        "try: main()\nfinally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "inference", "--dry-run", "--json"),
            *("--clip-model", "ViT-B/32", "--runtime", "torch"),
            *("--input-dataset", str(pictures), "--output-folder", str(tmp_path / "out")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["encoder"] == {
        **{"name": "ViT-B/32", "runtime": "torch", "precision": "fp32", "dimension": 512}
    }
    assert seen["items"] == 3 and seen["output_folder"] == str(tmp_path / "out")


def test_the_command_says_it_in_words(pictures: Path, tmp_path: Path) -> None:
    arguments = ["inference", "--dry-run", "--clip-model", "emoji", "--input-dataset"]
    arguments += [str(pictures), "--output-folder", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert "items: 3, 2 with a caption" in result.stdout and "(new)" in result.stdout
    assert not (tmp_path / "out").exists()
    unknown = CliRunner().invoke(main, [*arguments, "--clip-model", "no-such"])
    assert unknown.exit_code == 2 and "no-such" in unknown.stderr


def test_an_export_is_foreseen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEARCH_BACK_CACHE", str(tmp_path))
    seen = foresee("emoji", runtime="onnx")
    loaded = load_encoder("emoji", runtime="onnx")
    assert (seen.runtime, seen.dimension) == ("onnx", loaded.identity.dimension)
    assert seen.precision == loaded.runtime.precision
    with pytest.raises(ModelUnavailable, match="search-back export"):
        foresee("ViT-B/32", precision="int8")
