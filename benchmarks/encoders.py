"""How fast is an encoder against open_clip as it comes, and how close are its vectors?

::

    python benchmarks/encoders.py > encoders.json

A model with random weights (``--model``) is exported in fp32, in int8, and in int8 with as much
left in fp32 as a cosine of 0.9999 needs. Then, interleaved and on one thread: a five-word query,
and a picture of 1024 × 768 from the bytes of its JPEG, by each of them and by open_clip in torch.
A ratio is the median over the rounds of open_clip's time over theirs in the same round; beside it
the least cosine to open_clip's vectors. Then the first text embedding of a fresh process.

Random weights tell the time. What a precision does to a search is told by the bundled model: the
least cosine on its captions, and how many of the ten nearest of its pictures stay the same.
JSON on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

QUERY = "a red bicycle near water"
QUERIES = [
    *("a dog", "two cats on a sofa", "an old map of the world", QUERY, "sunset"),
    "a crowd of people waiting for a train in the rain at night",
]
SIZE = (1024, 768)
GOALS = {"fp32": None, "int8": None, "int8 to 0.9999": 0.9999}
FIRST = """
import sys, time
begin = time.perf_counter()
from search_back.encoders.exported import ExportedEncoder
from pathlib import Path
ExportedEncoder(Path(sys.argv[1]), threads=1).encode_texts([sys.argv[2]])
assert "torch" not in sys.modules
"""
FIRST_TORCH = """
import sys, warnings
warnings.simplefilter("ignore")
from search_back.encoders.sources.open_clip_import import open_clip
clip = open_clip().create_model(sys.argv[1], pretrained=sys.argv[3])
import torch
torch.set_num_threads(1)
with torch.inference_mode():
    clip.encode_text(open_clip().get_tokenizer(sys.argv[1])([sys.argv[2]]))
"""

Vectors = Callable[[], Any]


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def photograph(seed: int) -> bytes:
    """A JPEG with detail at every scale."""
    random = np.random.default_rng(seed)
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for side in (4, 16, 64, 256):
        noise = random.integers(0, 255, (side, side, 3), np.uint8)
        picture += np.asarray(Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray((picture / 4).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


class OpenClip:
    """open_clip in torch, as its own README uses it."""

    def __init__(self, model: str, weights: Path) -> None:
        import torch

        from search_back.encoders.sources.open_clip_import import open_clip

        self._torch = torch
        self._clip, _, self._preprocess = open_clip().create_model_and_transforms(
            model, pretrained=str(weights)
        )
        self._clip.eval()
        self._tokenize = open_clip().get_tokenizer(model)

    def text(self, text: str) -> Any:
        with self._torch.no_grad():
            features = self._clip.encode_text(self._tokenize([text]))
            return (features / features.norm(dim=-1, keepdim=True)).numpy()[0]

    def image(self, data: bytes) -> Any:
        with self._torch.no_grad():
            pixels = self._preprocess(Image.open(io.BytesIO(data))).unsqueeze(0)
            features = self._clip.encode_image(pixels)
            return (features / features.norm(dim=-1, keepdim=True)).numpy()[0]


def make(model: str, folder: Path) -> Path:
    """Random weights and their exports, in ``folder``; what is there already is kept."""
    import torch

    from search_back.encoders.export import Exporter, bundled_samples
    from search_back.encoders.names import parse_name
    from search_back.encoders.sources import load_source
    from search_back.encoders.sources.open_clip_import import open_clip

    weights = folder / "model.pt"
    if not weights.is_file():
        say(f"making {model} with random weights")
        torch.manual_seed(0)
        torch.save(open_clip().create_model(model, pretrained=None).state_dict(), weights)
    missing = {
        name: goal for name, goal in GOALS.items() if not (folder / name / "encoder.json").is_file()
    }
    if missing:
        source = load_source(parse_name(f"open_clip:{model}/{weights}"))
        exporter = Exporter(source, samples=bundled_samples(16), report=say)
        for name, goal in missing.items():
            exporter.write(
                folder / name,
                precision="fp32" if name == "fp32" else "int8",
                least_cosine=goal,
            )
    return weights


def compare(contenders: dict[str, Vectors], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each contender in each round; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(rounds):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begin) * 1e3)
    return times


def table(times: dict[str, list[float]], cosines: dict[str, float]) -> dict[str, Any]:
    base = times["open_clip"]
    return {
        name: {
            "ms_median": round(statistics.median(values), 2),
            "ms_min": round(min(values), 2),
            "times_faster": round(
                statistics.median(b / v for b, v in zip(base, values, strict=True)), 2
            ),
            "least_cosine": round(cosines[name], 6),
        }
        for name, values in times.items()
    }


def speed(model: str, folder: Path, rounds: int) -> dict[str, Any]:
    import torch

    from search_back.encoders.exported import ExportedEncoder
    from search_back.encoders.names import parse_name
    from search_back.encoders.sources import load_source
    from search_back.encoders.torch import TorchEncoder

    weights = make(model, folder)
    torch.set_num_threads(1)
    peer = OpenClip(model, weights)
    pictures = [photograph(seed) for seed in range(6)]
    ours: dict[str, Any] = {
        "torch fp32": TorchEncoder(load_source(parse_name(f"open_clip:{model}/{weights}")))
    }
    for name in GOALS:
        ours[f"onnx {name}"] = ExportedEncoder(folder / name, threads=1)
    for name in ("int8", "int8 to 0.9999"):
        drafting = ExportedEncoder(folder / name, threads=1)
        drafting.draft = "fast"
        ours[f"onnx {name}, draft"] = drafting
    texts = {"open_clip": lambda: peer.text(QUERY)}
    images = {"open_clip": lambda: peer.image(pictures[0])}
    text_cosines, image_cosines = {"open_clip": 1.0}, {"open_clip": 1.0}
    right_texts = np.stack([peer.text(text) for text in QUERIES])
    right_images = np.stack([peer.image(data) for data in pictures])
    for name, encoder in ours.items():
        images[name] = lambda encoder=encoder: encoder.encode_images([pictures[0]])
        found = encoder.encode_images(pictures)
        image_cosines[name] = float((found * right_images).sum(axis=1).min())
        if "draft" in name:
            continue
        texts[name] = lambda encoder=encoder: encoder.encode_texts([QUERY])
        each = np.concatenate([encoder.encode_texts([text]) for text in QUERIES])
        text_cosines[name] = float((each * right_texts).sum(axis=1).min())
    preparing = {
        name: lambda encoder=encoder: encoder.preprocess(pictures[0])
        for name, encoder in ours.items()
        if name in ("onnx int8", "onnx int8, draft")
    }
    say("a query")
    text_times = compare(texts, rounds)
    say("a picture")
    image_times = compare(images, rounds)
    prepared = compare(preparing, rounds)
    return {
        "text": table(text_times, text_cosines),
        "picture": table(image_times, image_cosines),
        "decode_and_preprocess_ms": {
            "exact": round(statistics.median(prepared["onnx int8"]), 2),
            "draft": round(statistics.median(prepared["onnx int8, draft"]), 2),
        },
        "first_embedding_s": first_embedding(model, folder, weights),
    }


def first_embedding(model: str, folder: Path, weights: Path, *, runs: int = 5) -> dict[str, Any]:
    """Seconds from the start of a process to its first text embedding."""
    say("the first embedding of a fresh process")

    def run(code: str, *arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=True,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return time.perf_counter() - begin

    found: dict[str, list[float]] = {"onnx int8": [], "onnx fp32": [], "open_clip": []}
    for i in range(runs):
        found["onnx int8"].append(run(FIRST, str(folder / "int8"), QUERY))
        found["onnx fp32"].append(run(FIRST, str(folder / "fp32"), QUERY))
        if i < 2:
            found["open_clip"].append(run(FIRST_TORCH, model, QUERY, str(weights)))
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def search_overlap(folder: Path) -> dict[str, Any]:
    """What each precision does to a search with the bundled model and pictures."""
    from search_back.encoders import load_encoder
    from search_back.encoders.export import Exporter, bundled_samples
    from search_back.encoders.exported import ExportedEncoder
    from search_back.encoders.names import parse_name
    from search_back.encoders.sources import load_source
    from search_back.models import MODEL_NAME, pictures_tar

    with tarfile.open(pictures_tar()) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    pictures = [data for name, data in sorted(files.items()) if name.endswith(".jpg")]
    captions = [data.decode() for name, data in sorted(files.items()) if name.endswith(".txt")]
    exact = load_encoder(MODEL_NAME, runtime="torch")
    images, texts = in_parts(exact.encode_images, pictures), in_parts(exact.encode_texts, captions)
    tens = nearest(texts, images)
    source = load_source(parse_name(MODEL_NAME))
    found = {}
    for runtime, precisions in (("onnx", ("fp16", "int8")), ("openvino", ("bf16", "int8"))):
        with contextlib.suppress(PackageNotFoundError):
            version(runtime)
            exporter = Exporter(source, samples=bundled_samples(32), runtime=runtime)  # type: ignore[arg-type]
            for precision in precisions:
                name = f"{runtime} {precision}"
                say(f"the bundled model: {name}")
                exporter.write(folder / f"bundled {name}", precision=precision)  # type: ignore[arg-type]
                encoder = ExportedEncoder(folder / f"bundled {name}")
                ours = in_parts(encoder.encode_images, pictures)
                asked = np.concatenate([encoder.encode_texts([text]) for text in captions])
                found[name] = {
                    "least_cosine_image": round(float((ours * images).sum(axis=1).min()), 6),
                    "least_cosine_text": round(float((asked * texts).sum(axis=1).min()), 6),
                    "top_10_overlap": round(overlap(nearest(asked, ours), tens), 4),
                    "top_10_overlap_queries_only": round(overlap(nearest(asked, images), tens), 4),
                }
    return {"queries": len(captions), "pictures": len(pictures), "precisions": found}


def in_parts(encode: Callable[[Any], Any], inputs: list[Any]) -> Any:
    return np.concatenate([encode(inputs[i : i + 64]) for i in range(0, len(inputs), 64)])


def nearest(queries: Any, rows: Any) -> Any:
    return np.argsort(-(queries @ rows.T), axis=1)[:, :10]


def overlap(first: Any, second: Any) -> float:
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(first, second, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ViT-B-32-quickgelu", help="of open_clip")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, help="keep weights and exports here")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = {
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load": os.getloadavg()[0],
                "python": platform.python_version(),
            },
            "versions": {
                name: version(name)
                for name in ("onnxruntime", "torch", "open-clip-torch", "pillow")
            },
            "model": options.model,
            "rounds": options.rounds,
            **speed(options.model, folder, options.rounds),
            "bundled_model": search_overlap(folder),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
