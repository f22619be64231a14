"""How much of what two cores can do does `search-back inference` get?

::

    python benchmarks/inference.py > inference.json
    python benchmarks/inference.py --peer /path/to/clip-retrieval/python

Pictures of 1024 × 768 with captions in two tars are embedded by a model with random weights, in
fp32, in int8, and in int8 with JPEGs decoded at a fraction of their size. The bound is the cores
divided by the CPU seconds of one pair's parts, each measured alone in the same run on one thread:
reading the tar, decoding and preparing a picture, encoding it, encoding its caption.

``--peer``: the Python of an environment with clip-retrieval 2.45, which takes its turn in each
round with the same tars, model and weights; ``--peer-main``: a script to start it with, where its
own command line needs help. Both are timed from a loaded and warm model to the last file. A ratio
is the median over the rounds of our rate over its rate in the same round, and beside it the ratio
of the CPU seconds of a pair, which other users of the machine disturb less. Vectors are compared
row by row, by the key of the sample. JSON on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from encoders import make, photograph, say
from peer_inference import agreement, peer_run

WORDS = ("red", "bicycle", "near", "old", "harbour", "two", "dogs", "in", "green", "snow", "light")
WAYS: dict[str, dict[str, Any]] = {
    "fp32": {"export": "fp32"},
    "int8 to 0.9999": {"export": "int8 to 0.9999"},
    "int8, draft": {"export": "int8", "jpeg_draft": "fast"},
}
_RUN = """
import json, sys, time
from pathlib import Path
from search_back.encoders import load_encoder
from search_back.inference import InferenceSettings, run
folder, output, draft, *tars = sys.argv[1:]
encoder = load_encoder(folder, precision="auto", jpeg_draft=draft, side_by_side=True)
encoder.encode_texts(["warm"])
encoder.encode_pixels(encoder.preprocess(Path(tars.pop()).read_bytes())[None])
begin = time.process_time()
report = run(InferenceSettings(input_dataset=tuple(tars), output_folder=Path(output),
                               enable_text=True, batch_size=64, overwrite=True), encoder)
cpu = (time.process_time() - begin) / report.count
# Not ru_maxrss: a process inherits the peak of the one that started it.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"pairs_per_s": report.items_per_second, "cpu_s": cpu, "peak_mb": peak}))
"""


def write_tars(folder: Path, pairs: int) -> list[Path]:
    random = np.random.default_rng(0)
    pictures = [photograph(seed) for seed in range(16)]
    tars = [folder / "00000.tar", folder / "00001.tar"]
    for t, path in enumerate(tars):
        with tarfile.open(path, "w") as tar:
            for i in range(pairs // 2):
                caption = " ".join(random.choice(WORDS, random.integers(3, 12)))
                parts = {"jpg": pictures[i % len(pictures)], "txt": caption.encode()}
                for extension, data in parts.items():
                    member = tarfile.TarInfo(f"{t}{i:06d}.{extension}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return tars


def cpu_seconds(run: Callable[[], Any], count: int, *, rounds: int = 5) -> float:
    """CPU seconds of one of ``count``: the median of the rounds."""
    run()
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        run()
        found.append((time.process_time() - begin) / count)
    return statistics.median(found)


def parts(folder: Path, tars: list[Path], draft: str) -> dict[str, float]:
    """CPU milliseconds of each part of a pair, alone, on one thread."""
    from search_back.encoders import load_encoder

    encoder = load_encoder(str(folder), precision="auto", threads=1, jpeg_draft=draft)  # type: ignore[arg-type]

    def read() -> list[bytes]:
        with tarfile.open(tars[0]) as tar:
            return [tar.extractfile(member).read() for member in tar]  # type: ignore[union-attr]

    members = read()
    pictures, captions = members[::2][:16], [data.decode() for data in members[1::2]][:64]
    pixels = np.stack([encoder.preprocess(picture) for picture in pictures])
    found = {
        "read": cpu_seconds(read, len(members) // 2),
        "prepare_picture": cpu_seconds(
            lambda: [encoder.preprocess(picture) for picture in pictures], len(pictures)
        ),
        "encode_picture": cpu_seconds(lambda: encoder.encode_pixels(pixels), len(pixels)),
        "caption": cpu_seconds(lambda: encoder.encode_texts(captions), len(captions)),
    }
    encoder.close()
    return {name: round(seconds * 1e3, 3) for name, seconds in found.items()}


def one_run(folder: Path, tars: list[Path], output: Path, draft: str) -> dict[str, float]:
    picture = output.parent / "warm.jpg"
    picture.write_bytes(photograph(0))
    arguments = [str(folder), str(output), draft, *map(str, tars), str(picture)]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments], check=True, stdout=subprocess.PIPE
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def middle(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def ratios(runs: list[dict[str, float]], others: list[dict[str, float]]) -> dict[str, float]:
    """How many times as fast as the other of the same round."""
    rounds = list(zip(runs, others, strict=True))
    rates = [mine["pairs_per_s"] / other["pairs_per_s"] for mine, other in rounds]
    found = {
        "median": statistics.median(rates),
        "least": min(rates),
        "most": max(rates),
        "by_cpu_seconds": statistics.median(
            other["cpu_s"] / mine["cpu_s"] for mine, other in rounds
        ),
    }
    return {name: round(value, 2) for name, value in found.items()}


def load() -> list[float]:
    return [round(value, 2) for value in os.getloadavg()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ViT-B-32-quickgelu", help="of open_clip")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="keep weights and exports here")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--peer-main", type=Path)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load_at_start = load()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        folder = options.work or place / "models"
        folder.mkdir(parents=True, exist_ok=True)
        weights = make(options.model, folder)
        (place / "tars").mkdir()
        tars = write_tars(place / "tars", options.pairs)
        costs = {}
        for name, way in WAYS.items():
            say(f"{name}: its parts")
            costs[name] = parts(folder / way["export"], tars, way.get("jpeg_draft", "off"))
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        peer: list[dict[str, float]] = []
        for _ in range(options.rounds):
            for name, way in WAYS.items():
                say(f"{name}: a run")
                output = place / name
                draft = way.get("jpeg_draft", "off")
                runs[name].append(one_run(folder / way["export"], tars, output, draft))
                say(f"{name}: {runs[name][-1]}")
            if options.peer:
                say("clip-retrieval: a run")
                took = peer_run(
                    options.peer,
                    options.peer_main,
                    model=f"{options.model}/{weights.resolve()}",
                    tars=tars,
                    output=place / "peer",
                )
                rate = options.pairs / took.wall
                peer.append({"pairs_per_s": rate, "cpu_s": took.cpu / options.pairs})
                say(f"clip-retrieval: {peer[-1]}")
        result: dict[str, Any] = {
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": cores,
                "load_at_start": load_at_start,
                "python": platform.python_version(),
            },
            "versions": {name: version(name) for name in ("onnxruntime", "pillow")},
            "model": options.model,
            "pairs": options.pairs,
            "rounds": options.rounds,
            "ways": {},
        }
        for name in WAYS:
            bound = (cores or 1) / (sum(costs[name].values()) / 1e3)
            reached = middle(runs[name], "pairs_per_s")
            result["ways"][name] = {
                "cpu_ms_of_a_pair": costs[name],
                "bound_pairs_per_s": round(bound, 1),
                "pairs_per_s": round(reached, 1),
                "cpu_ms_of_a_pair_in_the_run": round(middle(runs[name], "cpu_s") * 1e3, 1),
                "share_of_bound": round(reached / bound, 3),
                "to_fp32": agreement(place / name, place / "fp32"),
                "peak_mb": round(max(run["peak_mb"] for run in runs[name])),
            }
            if peer:
                result["ways"][name]["times_clip_retrieval"] = ratios(runs[name], peer)
                result["ways"][name]["to_clip_retrieval"] = agreement(place / name, place / "peer")
        if peer:
            result["clip_retrieval"] = {
                "pairs_per_s": round(middle(peer, "pairs_per_s"), 2),
                "cpu_ms_of_a_pair": round(middle(peer, "cpu_s") * 1e3, 1),
            }
        result["machine"]["load_at_end"] = load()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
