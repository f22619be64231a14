"""`search-back export`, and finding what it made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from search_back.cli import main
from search_back.encoders import exported, load_encoder
from search_back.encoders.exports import CACHE_VARIABLE, cache_folder, exports, find_export
from search_back.errors import ModelUnavailable
from search_back.models import model_folder, pictures_tar

TEXTS = ["a cat", "ein roter Apfel", "a rather long list of things, none of which is a cat"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bundled model as one of its user's own: without its exported towers."""
    folder = tmp_path_factory.mktemp("own") / "model"
    unwanted = shutil.ignore_patterns("*.onnx", "encoder.json")
    return f"local-dir:{shutil.copytree(model_folder(), folder, ignore=unwanted)}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments])


@pytest.fixture(scope="module")
def made(model: str, cache: Path) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(cache))
        result = run("--clip-model", model, "--precision", "fp32", "--precision", "int8", "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def own_cache(made: list[dict[str, Any]], cache: Path, tmp_path: Path) -> Path:
    """A copy of the cache to spoil."""
    return Path(shutil.copytree(cache, tmp_path / "cache"))


def test_the_report_tells_what_was_made(made: list[dict[str, Any]], model: str) -> None:
    assert [(m["runtime"], m["precision"]) for m in made] == [("onnx", "fp32"), ("onnx", "int8")]
    fp32, int8 = made
    assert fp32["name"] == int8["name"] == model
    assert fp32["checks"]["min_cosine_text"] > 0.99999
    assert 0.99 <= int8["checks"]["min_cosine_image"] < 0.99999
    assert Path(fp32["folder"]).parent == cache_folder()
    assert fp32["bytes"] == sum(f.stat().st_size for f in Path(fp32["folder"]).iterdir())


def test_an_export_is_found_by_the_models_name(made: list[dict[str, Any]], model: str) -> None:
    torch = load_encoder(model, runtime="torch")
    exact, fast = load_encoder(model), load_encoder(model, precision="auto")
    assert (exact.runtime.runtime, exact.runtime.precision) == ("onnxruntime", "fp32")
    assert (fast.runtime.runtime, fast.runtime.precision) == ("onnxruntime", "int8")
    # Checked against each other, all three serve the same indices.
    assert exact.identity == fast.identity == torch.identity
    right = torch.encode_texts(TEXTS)
    assert exact.encode_texts(TEXTS) == pytest.approx(right, abs=1e-5)
    cosines = (fast.encode_texts(TEXTS) * right).sum(axis=1)
    assert 0.99 < cosines.min() < 0.99999


def test_an_export_serves_without_torch(made: list[dict[str, Any]], model: str) -> None:
    code = (
        "import sys; from search_back.encoders import load_encoder; "
        "load_encoder(sys.argv[1]).encode_texts(['a cat']); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'open_clip', 'onnx')))"
    )
    run = subprocess.run([sys.executable, "-c", code, model], check=False)
    assert run.returncode == 0


def test_weights_that_overflow_here_are_told(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folders = {m["precision"]: Path(m["folder"]) for m in made}
    about = json.loads((folders["int8"] / "encoder.json").read_text())
    if about["checks"]["weight_bits"] == 7:
        pytest.skip("made on a processor without VNNI")
    monkeypatch.setattr(exported, "adds_bytes_exactly", lambda: False)
    exported.ExportedEncoder(folders["fp32"])
    assert not caplog.records
    exported.ExportedEncoder(folders["int8"])
    assert "export it again on this machine" in caplog.text


def test_int8_finds_what_fp32_finds(made: list[dict[str, Any]], model: str) -> None:
    with tarfile.open(pictures_tar()) as tar:
        files = {
            m.name: tar.extractfile(m).read() for m in tar if m.name.endswith((".jpg", ".txt"))
        }  # type: ignore[union-attr]
    names = sorted(name for name in files if name.endswith(".jpg"))[::2]
    captions = [files[f"{name[:-4]}.txt"].decode() for name in names[::2]]
    tens = []
    for precision in ("fp32", "int8"):
        encoder = load_encoder(model, precision=precision)  # type: ignore[arg-type]
        parts = [names[i : i + 64] for i in range(0, len(names), 64)]
        images = np.concatenate([encoder.encode_images([files[n] for n in p]) for p in parts])
        texts = encoder.encode_texts(captions)
        tens.append(np.argsort(-(texts @ images.T), axis=1)[:, :10])
    overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*tens, strict=True)])
    assert 0.95 <= overlap < 1


def test_what_is_there_is_not_made_again(made: list[dict[str, Any]], model: str) -> None:
    before = Path(made[0]["folder"], "encoder.json").stat().st_mtime_ns
    result = run("--clip-model", model)
    assert result.exit_code == 0
    assert "there is one already" in result.stderr
    assert Path(made[0]["folder"], "encoder.json").stat().st_mtime_ns == before


def test_exports_are_listed(made: list[dict[str, Any]], model: str) -> None:
    result = run("--list")
    assert result.exit_code == 0
    assert f"{model}: onnx fp32" in result.stderr
    assert f"{model}: onnx int8" in result.stderr


def test_an_empty_cache_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert "no exports" in run("--list").stderr


def test_an_export_older_than_its_weights_is_not_used(
    own_cache: Path, model: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(own_cache))
    weights = Path(model.removeprefix("local-dir:")) / "open_clip_model.safetensors"
    kept = weights.stat()
    assert find_export(model) is not None
    try:
        os.utime(weights, ns=(kept.st_atime_ns, kept.st_mtime_ns + 10**9))
        assert find_export(model) is None
        assert "export it again" in caplog.text
        with pytest.raises(ModelUnavailable, match="search-back export"):
            load_encoder(model, runtime="onnx")
        assert load_encoder(model).runtime.runtime == "torch"
    finally:
        os.utime(weights, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def test_a_broken_export_is_passed_over(
    own_cache: Path, model: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(own_cache))
    for export in list(exports()):
        if export.about.precision == "int8":
            (export.folder / "encoder.json").write_text("{}")
    assert [export.about.precision for export in exports()] == ["fp32"]
    assert "does not describe an encoder" in caplog.text
    assert load_encoder(model, precision="auto").runtime.precision == "fp32"


def test_a_precision_without_export_names_the_command(model: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"search-back export --clip-model .* --precision"):
        load_encoder("emoji", precision="int8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --clip-model"),
        (("--clip-model", "no-such-model"), "no model of that name"),
        (("--clip-model", "emoji", "--precision", "bf16"), "bf16"),
        (("--clip-model", "emoji", "--output-folder", "."), "the output folder exists"),
        (
            ("--clip-model", "emoji", "--output-folder", "x", *("--precision", "fp32") * 2),
            "one output folder holds one precision",
        ),
    ],
)
def test_wrong_options_are_told(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_export_cannot_be_exported(made: list[dict[str, Any]]) -> None:
    result = run("--clip-model", made[0]["folder"])
    assert result.exit_code == 2
    assert "cannot be exported again" in result.stderr


def test_a_folder_of_ones_own_is_a_model(model: str, tmp_path: Path) -> None:
    target = tmp_path / "exported"
    result = run("--clip-model", model, "--output-folder", str(target), "--sample-count", "2")
    assert result.exit_code == 0, result.output
    encoder = load_encoder(str(target))
    assert encoder.identity.matches(load_encoder("emoji").identity)
    assert encoder.encode_texts(TEXTS).shape == (3, 192)
