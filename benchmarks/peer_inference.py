"""clip-retrieval's `inference` on the tars of inference.py, and how near two outputs are."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

MODULE = "clip_retrieval.cli"
# Its last words before the first batch.
READY = "done warming up"
# It starts processes that import the main script again. A program given by -c is not imported, so
# a script that does not ask for its __name__ runs once.
START = "import sys; del sys.argv[0]; exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))"


@dataclass(frozen=True)
class Took:
    """Seconds of the clock and of the processors."""

    wall: float
    cpu: float


def peer_run(
    python: Path, main: Path | None, *, model: str, tars: list[Path], output: Path
) -> Took:
    """From the loaded and warm model to the end of the process.

    ``main``: a script to start it with, where its own command line needs help. Raises
    ``RuntimeError`` with the end of what it said.
    """
    shutil.rmtree(output, ignore_errors=True)
    before = cpu_of_children()
    pattern = "{" + ",".join(map(str, tars)) + "}"
    command = [
        *((str(python), "-c", START, str(main)) if main else (str(python), "-m", MODULE)),
        *("inference", "--input_dataset", pattern),
        *("--output_folder", str(output), "--input_format", "webdataset"),
        *("--batch_size", "64", "--num_prepro_workers", "2"),
        *("--clip_model", f"open_clip:{model}", "--use_jit", "False"),
    ]
    log = output.with_suffix(".log")
    ready = warm = 0.0
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(READY):
                ready, warm = time.perf_counter(), cpu_of_session(process.pid)
    took = Took(time.perf_counter() - ready, cpu_of_children() - before - warm)
    if process.returncode or not any(output.glob("img_emb/*.npy")) or not ready:
        raise RuntimeError(f"clip-retrieval failed: {log.read_text(encoding='utf-8')[-2000:]}")
    return took


def cpu_of_children() -> float:
    """Seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of_session(session: int) -> float:
    """Seconds so far of all processes of a session, with those that they saw the end of."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # It has ended since.
            continue
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def agreement(output: Path, reference: Path) -> dict[str, Any]:
    """Cosines between the rows of one key in two outputs, and the numbers of their rows."""
    ours, theirs = keys(output), keys(reference)
    shared = sorted(ours.keys() & theirs.keys())
    result: dict[str, Any] = {
        "rows": len(ours),
        "rows_of_reference": len(theirs),
        "rows_of_both": len(shared),
    }
    mine, other = [ours[key] for key in shared], [theirs[key] for key in shared]
    for name in ("img_emb", "text_emb"):
        a, b = unit_rows(output / name)[mine], unit_rows(reference / name)[other]
        cosines = (a * b).sum(axis=1)
        result[name] = {
            "least_cosine": round(float(cosines.min()), 6),
            "median_cosine": round(float(np.median(cosines)), 6),
        }
    return result


def keys(output: Path) -> dict[str, int]:
    """The row of each key; raises ``ValueError`` where one comes twice."""
    files = sorted((output / "metadata").glob("metadata_*.parquet"))
    names = [name for file in files for name in pq.read_table(file)["image_path"].to_pylist()]
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) < len(names):
        raise ValueError(f"{output}: a key comes twice")
    return rows


def unit_rows(folder: Path) -> Any:
    rows = np.concatenate([np.load(file) for file in sorted(folder.glob("*.npy"))])
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1)[:, None]
