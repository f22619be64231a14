"""Does the memory of `search-back inference` depend on how much there is to read?

::

    python benchmarks/inference_memory.py > memory.json

Tars of 1,000 and of 20,000 small pictures with captions and JSON metadata are embedded by the
bundled model, each in a process of its own, in turn. ``peak_mb``: the most that the process ever
held, MiB, median of the rounds. JSON on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from encoders import say
from PIL import Image

SIZES = (1_000, 20_000)
_RUN = """
import json, sys
from pathlib import Path
from search_back.encoders import load_encoder
from search_back.inference import InferenceSettings, run
tar, output = sys.argv[1:]
encoder = load_encoder("emoji", side_by_side=True)
report = run(InferenceSettings((tar,), Path(output), enable_text=True, enable_metadata=True,
                               overwrite=True, checkpoint_seconds=2), encoder)
# Not ru_maxrss: a process inherits the peak of the one that started it.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"peak_mb": peak, "pairs_per_s": report.items_per_second}))
"""


def write_tar(path: Path, pictures: int) -> Path:
    random = np.random.default_rng(0)
    with tarfile.open(path, "w") as tar:
        for i in range(pictures):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            data = io.BytesIO()
            Image.fromarray(pixels).resize((96, 96)).save(data, "JPEG")
            metadata = json.dumps({"n": i, "url": f"https://example.org/{i}", "tags": ["a", "b"]})
            parts = {"jpg": data.getvalue(), "txt": f"picture {i}".encode()}
            for extension, content in {**parts, "json": metadata.encode()}.items():
                member = tarfile.TarInfo(f"{i:06}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        tars = {size: write_tar(place / f"{size}.tar", size) for size in SIZES}
        found: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
        for _ in range(options.rounds):
            for size, tar in tars.items():
                say(f"{size} pictures")
                command = [sys.executable, "-c", _RUN, str(tar), str(place / "out")]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                found[size].append(json.loads(done.stdout))
    peaks = {size: statistics.median(run["peak_mb"] for run in found[size]) for size in SIZES}
    result = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "rounds": options.rounds,
        "peak_mb": {str(size): round(peak, 1) for size, peak in peaks.items()},
        "more": round(peaks[SIZES[1]] / peaks[SIZES[0]] - 1, 3),
        "pairs_per_s": {
            str(size): round(statistics.median(run["pairs_per_s"] for run in found[size]))
            for size in SIZES
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
