"""Unloading gives the memory back to the system, measured in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from search_back.files import read_json, write_json
from search_back.models import model_folder

onnx = pytest.importorskip("onnx")

WEIGHTS_MB = 64
WATCH = """
import json, re, sys
from search_back.encoders import load_encoder
from search_back.services import EncoderPool

def resident_mb():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmRSS:\\s+(\\d+) kB", file.read())[1]) / 1024

class Clock:
    now = 0.0
    def __call__(self):
        return self.now

clock = Clock()
pool = EncoderPool(load_encoder, clock=clock)
names = ("emoji", sys.argv[1])
seen = []
for _ in range(3):
    for name in names:
        pool.warm_up(name)
        assert pool.get(name).encode_texts(["a cat", "two dogs"]).shape == (2, 192)
    held = resident_mb()
    assert pool.loaded == 2
    clock.now += 1
    pool.unload_idle()
    assert pool.loaded == 0
    seen.append((held, resident_mb()))
print(json.dumps(seen))
"""


def write_large_model(folder: Path) -> None:
    """The bundled model with a text tower of ``WEIGHTS_MB`` of weights."""
    from onnx import TensorProto, helper, numpy_helper

    inner = WEIGHTS_MB * 2**20 // 4 // 1024
    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.random(shape, dtype=np.float32) - 0.5, name)

    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["each"]),
        helper.make_node("ReduceMean", ["each"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "up"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["kept"]),
        helper.make_node("MatMul", ["kept", "down"], ["narrow"]),
        helper.make_node("MatMul", ["narrow", "out"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 192])],
        [
            weights("table", 50_000, 8),
            weights("up", 8, inner),
            weights("down", inner, 1024),
            weights("out", 1024, 192),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    shutil.copytree(model_folder(), folder)
    onnx.save(model, folder / "text.onnx")
    about = read_json(folder / "encoder.json")
    write_json(folder / "encoder.json", {**about, "weights_sha256": "0" * 64})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_unloading_gives_the_memory_back(tmp_path: Path) -> None:
    write_large_model(tmp_path / "large")
    ran = subprocess.run(
        [sys.executable, "-c", WATCH, str(tmp_path / "large")],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    for held, left in seen:
        assert held - left > WEIGHTS_MB / 2, seen
    # What stays does not grow with every time it is loaded.
    assert seen[-1][1] - seen[0][1] < WEIGHTS_MB / 2, seen
