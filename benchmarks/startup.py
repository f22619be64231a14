"""How long from the second `search-back demo` to the first answer, and how much memory it holds?

::

    python benchmarks/startup.py > startup.json

The demo folder is prepared once, untimed. Then, interleaved: a fresh demo server, timed from the
command to its first answer to a text query; and the floor, a fresh Python that only imports what
such a server cannot do without. After the first answer the server is asked ``--queries`` more
(words, and pictures of the demo) before its resident memory is read. JSON on stdout.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLOOR = "import flask, numpy, faiss, pyarrow.parquet, onnxruntime, tokenizers, PIL.Image"
WORDS = ("red apple", "musical instrument", "monkey and banana", "lachendes Gesicht", "flag")


def ask(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{url}/knn-service", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: list[dict[str, Any]] = json.load(response)
    return answer


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match, status
    return int(match[1]) / 1024


def one_start(home: Path, queries: int) -> dict[str, float]:
    command = [sys.executable, "-m", "search_back.cli", "demo", "--no-browser"]
    began = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--folder", str(home), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    try:
        line = next(line for line in server.stderr if "http://" in line)
        url = re.search(r"http://\S+", line)[0]  # type: ignore[index]
        hits = ask(url, {"text": WORDS[0], "num_images": 40, "images": "link"})
        first = time.perf_counter() - began
        assert len(hits) == 40, hits
        fresh = resident_mb(server.pid)
        pictures = sorted((home / "pictures").glob("*.jpg"))
        for i in range(queries):
            ask(url, {"text": WORDS[i % len(WORDS)], "num_images": 40, "images": "link"})
            picture = base64.b64encode(pictures[i % len(pictures)].read_bytes()).decode()
            ask(url, {"image": picture, "num_images": 40, "deduplicate": True})
        return {"first_answer_s": first, "rss_mb": fresh, "rss_after_mb": resident_mb(server.pid)}
    finally:
        server.terminate()
        server.wait(timeout=30)
        server.stderr.close()


def floor() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", FLOOR], check=True)
    return time.perf_counter() - began


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="a prepared demo folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.folder or Path(temporary) / "demo"
        prepare = [sys.executable, "-m", "search_back.cli", "demo", "--serve", "False"]
        began = time.perf_counter()
        subprocess.run([*prepare, "--folder", str(home)], check=True, stderr=subprocess.DEVNULL)
        prepared = time.perf_counter() - began
        starts, floors = [], []
        for _ in range(options.runs):
            floors.append(floor())
            starts.append(one_start(home, options.queries))
    firsts = [start["first_answer_s"] for start in starts]
    result = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("faiss-cpu", "onnxruntime", "pyarrow")},
        "runs": options.runs,
        "preparing_s": round(prepared, 1),
        "first_answer_s": spread(firsts),
        "imports_alone_s": spread(floors),
        "ratio_to_imports": round(
            statistics.median(f / b for f, b in zip(firsts, floors, strict=True)), 2
        ),
        "rss_mb": spread([start["rss_mb"] for start in starts]),
        "rss_after_queries_mb": spread([start["rss_after_mb"] for start in starts]),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
