"""Does a server's memory grow as it is used? Mixed requests for long, and what each process holds.

``python benchmarks/soak.py INDEX_FOLDER --seconds 1800`` starts a server of two processes, prints
the resident memory of each now and then, and how much more its mean over the last sixth of the time
is than over the second, as JSON: it rises and falls as memory is freed. Before that every thumbnail
is asked for several times, so that each process has them all: a cache is to fill, and not to grow.
Exits with 1 where the growth is more than ``--most`` or an answer was none of those expected.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

import requests

CLIENTS = 4
STATUSES = {200, 304, 400, 404, 413, 503}
LOOKS, SHOWN = 120, 10
TIMES = 6  # that a thumbnail is asked for; of two processes one may have answered all of them
WORDS = ("cat", "flag", "a dog with a hat", "red car", "music", "fish - water", "2:tree + sun")


class Client(threading.Thread):
    """Asks at random until it is told to stop."""

    def __init__(self, url: str, pictures: int, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.statuses: Counter[str] = Counter()
        self._url, self._pictures, self._stop_asking = url, pictures, stop
        self._random = random.Random(seed)
        self._session = requests.Session()
        self._picture = ""

    def run(self) -> None:
        while not self._stop_asking.is_set():
            try:
                answer = self._ask()
                status = str(answer.status_code)
                self._keep(answer)
            except requests.RequestException as error:
                status = type(error).__name__
            self.statuses[status] += 1

    def _ask(self) -> requests.Response:
        pick = self._random
        words = f"{pick.choice(WORDS)} {pick.randrange(10**6) if pick.random() < 0.5 else ''}"
        id_ = pick.randrange(self._pictures + 1)  # one that is not there among them
        body: dict[str, Any] = {"query": words, "k": pick.choice((1, 10, 100))}
        kind = pick.randrange(8)
        if kind == 0:
            return self._post("/metadata", {"ids": [id_, id_ + 1], "images": "inline"})
        if kind == 1:
            address = f"{self._url}/indices/index/thumbnails/{id_}"
            return self._session.get(address, timeout=60)
        if kind == 2 and self._picture:
            body["query"] = [{"image": self._picture}, {"text": words}]
        elif kind == 3:
            body["filter"] = f"caption contains '{pick.choice('aeiou')}'"
        elif kind == 4:
            first = self._post("/v1/search", body).json()
            body["cursor"] = first.get("cursor")
        elif kind == 5:
            body = pick.choice(
                ({"query": 5}, {"query": "a", "k": -1}, {"query": "a", "index": "?"})
            )
        elif kind == 6:
            return self._post("/knn-service", {"text": words, "deduplicate": True})
        return self._post("/v1/search", body)

    def _post(self, path: str, body: Any) -> requests.Response:
        return self._session.post(self._url + path, json=body, timeout=60)

    def _keep(self, answer: requests.Response) -> None:
        if answer.headers.get("Content-Type", "").startswith("image/"):
            self._picture = base64.b64encode(answer.content).decode()


def resident_mb(server: int) -> dict[int, float]:
    """Of every process that serves."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return {
        int(pid): int(line.split()[1]) / 1024
        for pid in children
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    }


def fill(url: str, pictures: int) -> None:
    """Have every process make and keep every thumbnail: each call may reach another one."""
    for _ in range(TIMES):
        for id_ in range(pictures):
            requests.get(f"{url}/indices/index/thumbnails/{id_}", timeout=60).raise_for_status()


def start(index: Path) -> tuple[subprocess.Popen[str], str]:
    arguments = ["back", "--index-folder", str(index), "--port", "0", "--workers", "2"]
    # So small that it is full before the first sixth is over: it is to fill, and not to grow.
    arguments += ["--query-cache-entries", "200"]
    process = subprocess.Popen(
        [sys.executable, "-m", "search_back.cli", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("serving "):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, "http://" + line.strip().rpartition("//")[2]
    raise SystemExit("the server did not start")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--most", type=float, default=0.15, help="growth, as a share")
    asked = parser.parse_args()
    process, url = start(asked.index)
    stop = threading.Event()
    looks = []
    try:
        pictures = requests.get(f"{url}/indices/index", timeout=60).json()["size"]
        fill(url, pictures)
        clients = [Client(url, pictures, seed, stop) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        began = time.monotonic()
        for look in range(1, LOOKS + 1):
            time.sleep(max(0.0, began + asked.seconds * look / LOOKS - time.monotonic()))
            looks.append(resident_mb(process.pid))
            if look % SHOWN == 0:
                print(f"{time.monotonic() - began:6.0f} s", looks[-1], file=sys.stderr, flush=True)
        stop.set()
        for client in clients:
            client.join(60)
    finally:
        process.terminate()
        process.wait(60)
    sixth = LOOKS // 6
    growth = {
        pid: mean(look[pid] for look in looks[-sixth:])
        / mean(look.get(pid, 1.0) for look in looks[sixth : 2 * sixth])
        - 1
        for pid in looks[-1]
    }
    statuses: Counter[str] = sum((client.statuses for client in clients), Counter())
    unexpected = set(statuses) - {str(status) for status in STATUSES}
    told = {
        "seconds": asked.seconds,
        "requests": sum(statuses.values()),
        "statuses": dict(sorted(statuses.items())),
        "memory_mb": [
            {str(pid): round(mb, 1) for pid, mb in look.items()}
            for look in looks[SHOWN - 1 :: SHOWN]
        ],
        "growth_from_the_second_sixth_to_the_last": {
            str(p): round(g, 4) for p, g in growth.items()
        },
    }
    print(json.dumps(told, indent=2))
    return int(bool(unexpected) or max(growth.values()) > asked.most)


if __name__ == "__main__":
    sys.exit(main())
