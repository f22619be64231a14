"""OpenVINO: the towers it writes give ONNX Runtime's vectors, from any number of threads."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from search_back.encoders.description import EncoderDescription, Precision, Tower
from search_back.encoders.export import LEAST_COSINE
from search_back.encoders.export.openvino import write_openvino
from search_back.encoders.exported import ExportedEncoder
from search_back.encoders.runtimes import tower_opener
from search_back.encoders.runtimes.onnx import OnnxOpener
from search_back.encoders.runtimes.openvino import CompiledTower, OpenVinoOpener, cpu_settings
from search_back.errors import ModelUnavailable
from search_back.models import model_folder
from search_back.types import RuntimeInfo
from search_back.vectors import normalise

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None,
    reason="OpenVINO is not installed: pip install 'search_back[openvino]'",
)

KINDS: tuple[Tower, ...] = get_args(Tower)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
START, END = 6512, 6513


def inputs(kind: Tower, rows: int, length: int = 9, *, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    if kind == "image":
        return rng.normal(size=(rows, 3, 64, 64)).astype(np.float32)
    ids = rng.integers(1, START, (rows, length))
    ids[:, 0], ids[:, -1] = START, END
    return ids


def opened(path: Path, threads: int = 1) -> CompiledTower:
    tower = OpenVinoOpener()(path, threads=threads)
    assert isinstance(tower, CompiledTower)
    return tower


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled towers in every precision: ``image.fp32.xml`` and so on."""
    folder = tmp_path_factory.mktemp("openvino")
    for kind in KINDS:
        for precision in PRECISIONS:
            target = folder / f"{kind}.{precision}.xml"
            write_openvino(model_folder() / f"{kind}.onnx", target, precision=precision)
    return folder


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_onnx_runtime(written: Path, kind: Tower, precision: str) -> None:
    ours = opened(written / f"{kind}.{precision}.xml")
    theirs = OnnxOpener()(model_folder() / f"{kind}.onnx", threads=1)
    shapes = [(1, 3), (5, 9), (3, 32), (40, 7)] if kind == "text" else [(1, 0), (7, 0), (3, 0)]
    for rows, length in shapes:
        given = inputs(kind, rows, length, seed=length)
        got, wanted = ours(given), theirs(given)
        assert (got.dtype, got.shape) == (np.dtype(np.float32), wanted.shape)
        if precision == "fp32":
            np.testing.assert_allclose(normalise(got), normalise(wanted), atol=1e-5)
        else:
            cosines = (normalise(got) * normalise(wanted)).sum(axis=1)
            assert cosines.min() >= LEAST_COSINE[precision]  # type: ignore[index]


@pytest.mark.parametrize("kind", KINDS)
def test_an_onnx_file_is_read_too(kind: Tower) -> None:
    path = model_folder() / f"{kind}.onnx"
    given = inputs(kind, 3)
    np.testing.assert_allclose(opened(path)(given), OnnxOpener()(path)(given), atol=1e-4)


def test_int8_takes_half_of_the_room_of_float16(written: Path) -> None:
    small, half = (written / f"text.{p}.bin" for p in ("int8", "fp16"))
    assert small.stat().st_size < 0.55 * half.stat().st_size


def test_an_encoder_reads_what_was_written(tmp_path: Path) -> None:
    about = EncoderDescription.read(model_folder())
    towers: dict[Tower, str] = {kind: f"{kind}.xml" for kind in KINDS}
    for kind, name in towers.items():
        write_openvino(model_folder() / f"{kind}.onnx", tmp_path / name, precision="int8")
    shutil.copy(model_folder() / about.tokenizer["vocabulary"], tmp_path)
    about = replace(about, towers=towers, runtime="openvino", precision="int8")
    about.write(tmp_path)
    encoder = ExportedEncoder(tmp_path, threads=1)
    bundled = ExportedEncoder(model_folder(), threads=1)
    assert encoder.runtime == RuntimeInfo("openvino", "int8", "cpu", threads=1)
    assert encoder.identity == bundled.identity
    texts = ["a dog", "a red apple on a table", ""]
    cosines = (encoder.encode_texts(texts) * bundled.encode_texts(texts)).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE["int8"]
    pixels = inputs("image", 3)
    cosines = (encoder.encode_pixels(pixels) * bundled.encode_pixels(pixels)).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE["int8"]
    encoder.close()


def test_weights_of_nothing_but_zeros_stay_zeros(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table, product = (rng.normal(size=(64, 64)).astype(np.float32) for _ in range(2))
    table[1], product[:, 2] = 0, 0
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch"])
    embeds = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["batch", 64])
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("MatMul", ["rows", "product"], ["text_embeds"]),
        ],
        "tower",
        [ids],
        [embeds],
        [numpy_helper.from_array(v, n) for v, n in ((table, "table"), (product, "product"))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "text.onnx")
    write_openvino(tmp_path / "text.onnx", tmp_path / "text.xml", precision="int8")
    got = opened(tmp_path / "text.xml")(np.arange(64))
    wanted = table @ product
    assert not got[1].any()
    assert not got[:, 2].any()
    np.testing.assert_allclose(got, wanted, atol=0.02 * np.abs(wanted).max())


def test_inputs_may_be_views_and_read_only(written: Path) -> None:
    tower = opened(written / "text.fp32.xml")
    ids = inputs("text", 4, 9)
    wide = np.zeros((8, 20), np.int64)
    wide[::2, :9] = ids
    wide.flags.writeable = False
    np.testing.assert_array_equal(tower(wide[::2, :9]), tower(ids))


def test_a_result_outlives_the_next_call(written: Path) -> None:
    tower = opened(written / "text.fp32.xml")
    first = tower(inputs("text", 2, seed=1))
    kept = first.copy()
    tower(inputs("text", 2, seed=2))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_calls_of_many_threads_get_their_own_rows(
    written: Path, precision: str, threads: int
) -> None:
    tower = opened(written / f"text.{precision}.xml", threads)
    batches = [inputs("text", 1 + i % 3, 3 + i % 11, seed=i) for i in range(48)]
    alone = [tower(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(tower, batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(normalise(one), normalise(other), atol=1e-5)


def test_threads_are_those_of_one_call() -> None:
    path = model_folder() / "text.onnx"
    alone = opened(path, threads=1)
    calls = alone.setting("NUM_STREAMS")
    assert calls == alone.setting("INFERENCE_NUM_THREADS") >= 1
    free = opened(path, threads=0)
    assert free.setting("NUM_STREAMS") == 1


def test_settings_of_a_cpu() -> None:
    def of(precision: str = "fp32", threads: int = 0, has_bf16: bool = False) -> dict[str, Any]:
        return cpu_settings(precision, threads=threads, cores=8, has_bf16=has_bf16)

    assert "NUM_STREAMS" not in of()
    for threads, streams, total in ((1, 8, 8), (3, 2, 6), (8, 1, 8), (20, 1, 20)):
        settings = of(threads=threads)
        assert settings["NUM_STREAMS"] == streams
        assert settings["INFERENCE_NUM_THREADS"] == total
    computed = {
        (p, has): of(p, has_bf16=has)["INFERENCE_PRECISION_HINT"]
        for p in PRECISIONS
        for has in (False, True)
    }
    assert {key for key, value in computed.items() if value == "bf16"} == {
        ("bf16", True),
        ("int8", True),
    }
    assert set(computed.values()) == {"bf16", "f32"}
    assert [p for p in PRECISIONS if "DYNAMIC_QUANTIZATION_GROUP_SIZE" in of(p)] == ["int8"]


def test_the_precision_of_a_file_is_known_when_it_is_opened(written: Path) -> None:
    group = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
    int8, fp32 = (opened(written / f"text.{p}.xml") for p in ("int8", "fp32"))
    assert int8.setting(group) != fp32.setting(group)
    assert fp32.setting("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_broken_files_are_told_by_name(written: Path, tmp_path: Path) -> None:
    whole = written / "text.fp32.xml"
    missing, lonely, short, garbled = (tmp_path / f"{n}.xml" for n in ("a", "b", "c", "d"))
    shutil.copy(whole, lonely)
    shutil.copy(whole, short)
    short.with_suffix(".bin").write_bytes(whole.with_suffix(".bin").read_bytes()[:1000])
    garbled.write_bytes(b"<net")
    other = tmp_path / "e.onnx"
    other.write_bytes(b"not a model")
    for path in (missing, lonely, short, garbled, other):
        with pytest.raises(ModelUnavailable) as caught:
            OpenVinoOpener()(path)
        assert str(path) in str(caught.value)
        assert "Exception from" not in str(caught.value)
        assert caught.value.remedy == "export the model again"
    with pytest.raises(ModelUnavailable, match=r"e\.onnx"):
        write_openvino(other, tmp_path / "f.xml", precision="fp32")


def test_without_openvino_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    path = tmp_path / "text.xml"
    opener = tower_opener("openvino")
    assert (opener.title, opener.device()) == ("openvino", "cpu")
    with pytest.raises(ModelUnavailable, match=r"text\.xml needs OpenVINO") as caught:
        opener(path)
    assert caught.value.remedy == "pip install 'search_back[openvino]'"


REPORTS_NOTHING = """
import socket, sys

def refuse(*args):
    raise AssertionError("a connection was opened")

socket.socket.connect = socket.getaddrinfo = refuse
from pathlib import Path
from search_back.encoders.runtimes.openvino import OpenVinoOpener

OpenVinoOpener()(Path(sys.argv[1]))
assert not [name for name in sys.modules if "telemetry" in name]
assert "openvino.tools.ovc" not in sys.modules
"""


def test_its_use_is_not_reported_to_anyone(tmp_path: Path) -> None:
    """Imported carelessly, OpenVINO reports it and leaves an id in the home folder."""
    path = model_folder() / "text.onnx"
    subprocess.run(
        [sys.executable, "-c", REPORTS_NOTHING, str(path)],
        check=True,
        env=os.environ | {"HOME": str(tmp_path)},
        timeout=120,
    )
    assert not list(tmp_path.iterdir())
