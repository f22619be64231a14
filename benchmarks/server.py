"""How fast does `search-back back` answer over HTTP, beside clip-retrieval's server?

::

    python benchmarks/server.py --peer PYTHON --work /tmp/serving > server.json
    python benchmarks/server.py --rows 100000      # ours alone, quickly

Both serve the same synthetic pictures with metadata (url, caption, NSFW) from mapped files and
HDF5, to words, by a ViT-B/32 with random weights: ours from its int8 export and the index that
`search-back index` builds, clip-retrieval from the checkpoint and an `IVF2048,SQ8`. Caches are
built before. Both run through all rounds, and take turns; a ratio is the median over the rounds.

``one``: 40 results for five words that were not asked before, one client. ``many``: the same by 32
clients. ``thousand``: 1,000 results. ``vector``: 40 results for an embedding in the body. Each with
milliseconds of a request, CPU milliseconds of all of a server's processes for it, and recall: how
many of the exactly nearest to the fp32 vectors were found. Words by random weights lie far from all
pictures, so theirs is low; that of ``vector`` is of pictures. ``start``: seconds from the command
to the first answer. ``memory``: of each process after all that. ``overhead``: CPU milliseconds
of a request beyond the engine's, in one process without sockets.

``--peer``: the Python of an environment with clip-retrieval 2.45; ``--peer-main``: a script to
start it with, where its own command line needs help. Whatever follows ``--`` goes to our server.
JSON on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from encoders import say
from serving_folders import NAME, Folders, exact, prepare, texts
from serving_overhead import overhead
from serving_processes import Answers, Server, free_port, our_command, peer_command, served

CLIENTS = 32
FEW = 6
EXAMINED = 200  # queries; a few dozen can be 0.05 off
# Requests of a round: of ours, and of clip-retrieval.
COUNTS = {"one": (100, 30), "many": (1_500, 96), "thousand": (20, 6), "vector": (100, 30)}
Asked = dict[str, Any]


def by_text(text: str, k: int) -> Asked:
    return _body(k) | {"text": text}


def by_vector(vector: Any, k: int) -> Asked:
    return _body(k) | {"embedding_input": [round(float(x), 7) for x in vector]}


def _body(k: int) -> Asked:
    return {
        "modality": "image",
        "num_images": k,
        "num_result_ids": k,
        "indice_name": NAME,
        "images": "none",
    }


class Measured:
    """What one server did in each round."""

    def __init__(self, ways: list[str]) -> None:
        self.rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        self.first_answer_s: list[float] = []
        self.memory: list[dict[str, float]] = []
        self.recall: dict[str, float] = {}

    def take(self, way: str, server: Server, bodies: list[Asked]) -> None:
        before = server.cpu_s()
        found = server.ask(bodies, clients=CLIENTS if way == "many" else 1)
        cpu = (server.cpu_s() - before) / len(bodies)
        self.rounds[way].append(_figures(found, cpu))
        say(f"  {way}: {self.rounds[way][-1]}")

    def summary(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            way: {name: round(statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}
            for way, rounds in self.rounds.items()
        }
        for way, recall in self.recall.items():
            result.setdefault(way, {})["recall"] = recall
        result["start_s"] = {
            "median": round(statistics.median(self.first_answer_s), 2),
            "all": [round(s, 2) for s in self.first_answer_s],
        }
        result["memory"] = self.memory
        return result


def _figures(found: Answers, cpu: float) -> dict[str, float]:
    p50, p95 = np.percentile(found.seconds, (50, 95))
    return {
        "p50_ms": round(float(p50) * 1e3, 3),
        "p95_ms": round(float(p95) * 1e3, 3),
        "per_s": round(len(found.seconds) / found.wall, 2),
        "cpu_ms": round(cpu * 1e3, 3),
    }


def recalls(server: Server, asked: dict[str, list[Asked]], truth: dict[str, Any]) -> Any:
    """Of the exactly nearest, the share found."""
    result = {}
    for way, bodies in asked.items():
        k = bodies[0]["num_images"]
        shares = [
            np.isin(right[:k], ids).mean()
            for ids, right in zip(server.ask(bodies).ids(), truth[way], strict=True)
        ]
        result[way] = round(float(np.mean(shares)), 4)
    return result


def exams(folders: Folders, count: int) -> tuple[dict[str, list[Asked]], dict[str, Any]]:
    """Questions for each way, and their exact answers."""
    from search_back.encoders.exported import ExportedEncoder

    words = list(islice(texts(99), count))
    encoder = ExportedEncoder(folders.model.parent / "fp32")
    vectors = encoder.encode_texts(words)
    encoder.close()
    pictures = np.load(folders.embeddings / "queries.npz")["image"][:count]
    truth = exact(folders.embeddings, np.concatenate([vectors, pictures]), 1_000)
    asked = {
        "one": [by_text(text, 40) for text in words],
        "thousand": [by_text(text, 1_000) for text in words[:FEW]],
        "vector": [by_vector(vector, 40) for vector in pictures],
    }
    return asked, {"one": truth[:count], "thousand": truth[:FEW], "vector": truth[count:]}


def questions(folders: Folders) -> dict[str, Iterator[Asked]]:
    """For each way, bodies that do not end."""
    vectors = np.load(folders.embeddings / "queries.npz")["image"]
    words = texts(int.from_bytes(os.urandom(4), "big"))
    return {
        "one": (by_text(text, 40) for text in words),
        "many": (by_text(text, 40) for text in words),
        "thousand": (by_text(text, 1_000) for text in words),
        "vector": (by_vector(vectors[i % len(vectors)], 40) for i in range(1_000_000)),
    }


def ratios(ours: Measured, peer: Measured) -> dict[str, float]:
    """How many times as fast, or as cheap, as the other in the same round."""
    result = {}
    for way in ours.rounds:
        pairs = list(zip(ours.rounds[way], peer.rounds[way], strict=True))
        rate = "per_s" if way == "many" else "p50_ms"
        times = [a[rate] / b[rate] if way == "many" else b[rate] / a[rate] for a, b in pairs]
        result[way] = round(statistics.median(times), 1)
        result[f"{way}_by_cpu"] = round(
            statistics.median(b["cpu_ms"] / max(a["cpu_ms"], 1e-3) for a, b in pairs), 1
        )
    starts = zip(ours.first_answer_s, peer.first_answer_s, strict=True)
    result["start"] = round(statistics.median(b / a for a, b in starts), 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="keep embeddings, indices and model here")
    parser.add_argument("--ways", nargs="*", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--peer-main", type=Path)
    own, ours_too = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, ours_too = own[:at], own[at + 1 :]
    options = parser.parse_args(own)
    load_at_start = os.getloadavg()[0]
    # Else the servers would outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as temporary:
        folders = prepare(options.work or Path(temporary), options.rows)
        say("exact answers")
        exam, truth = exams(folders, EXAMINED)
        asked = questions(folders)
        ports = {"ours": free_port(), "peer": free_port()}
        commands = {"ours": our_command(folders, ports["ours"], *ours_too)}
        if options.peer:
            commands["peer"] = peer_command(options.peer, options.peer_main, folders, ports["peer"])
        measured = {name: Measured(options.ways) for name in commands}
        log = Path(temporary)

        def start(name: str) -> AbstractContextManager[Server]:
            return served(commands[name], ports[name], next(asked["one"]), log / f"{name}.log")

        for name, folder in (("ours", folders.ours), ("peer", folders.peer)):
            if name in commands and not (folder / "metadata.hdf5").is_file():
                with start(name):
                    say(f"{name}: caches built")
        for _ in range(options.starts):
            for name in commands:
                with start(name) as server:
                    measured[name].first_answer_s.append(server.first_answer_s)
                    say(f"{name}: first answer after {server.first_answer_s:.2f} s")
        with ExitStack() as stack:
            servers = {name: stack.enter_context(start(name)) for name in commands}
            for name, server in servers.items():
                measured[name].recall = recalls(server, exam, truth)
                say(f"{name}: recall {measured[name].recall}")
            for _ in range(options.rounds):
                for way in options.ways:
                    for name, server in servers.items():
                        count = COUNTS[way][name == "peer"]
                        say(f"{name}, load {os.getloadavg()[0]:.1f}")
                        measured[name].take(way, server, list(islice(asked[way], count)))
            for name, server in servers.items():
                measured[name].memory = server.memory()
        say("overhead")
        result: dict[str, Any] = {
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load_at_start": load_at_start,
                "load_at_end": os.getloadavg()[0],
                "python": platform.python_version(),
            },
            "versions": {
                name: version(name) for name in ("faiss-cpu", "onnxruntime", "waitress", "flask")
            },
            "rows": options.rows,
            "rounds": options.rounds,
            "overhead": overhead(folders, [next(asked["vector"]) for _ in range(300)]),
            **{name: found.summary() for name, found in measured.items()},
        }
        if options.peer:
            result["times_clip_retrieval"] = ratios(measured["ours"], measured["peer"])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
