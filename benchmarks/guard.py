"""What do keys, rates, signed addresses and compression cost a request?

::

    python benchmarks/guard.py > guard.json
    python benchmarks/guard.py --results 200

Medians over the rounds of CPU time: microseconds of a key that is looked up, of a request that is
counted (in a table of one process and in one that processes share), of the addresses of a picture
that are signed; and for a real answer of ``--results`` results, with addresses and with captions,
the milliseconds and the ratio of each level of gzip. JSON on stdout.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_back.cli.demo import prepare
from search_back.config import IndexOptions, Rate, ServerSettings
from search_back.guard import KeyRing, Links, RateTable, add_key
from search_back.server import create_app
from search_back.services import Services

LEVELS = (1, 2, 3, 4, 5, 6, 9)
COLUMNS = ("url", "image_path", "caption", "NSFW", "name", "keywords", "group")
CALLS = 2000


def cpu_us(call: Callable[[int], object], *, rounds: int, calls: int = CALLS) -> float:
    """Median microseconds of CPU of one call; it is told its number."""
    took = []
    for turn in range(rounds):
        began = time.process_time_ns()
        for number in range(turn * calls, (turn + 1) * calls):
            call(number)
        took.append((time.process_time_ns() - began) / calls / 1e3)
    return round(statistics.median(took), 3)


def guard(folder: Path, *, rounds: int) -> dict[str, float]:
    """Microseconds of each part."""
    given = add_key(folder / "keys.json", "one", scopes=["read"])
    ring, links, rate = KeyRing(folder / "keys.json"), Links(bytes(32)), Rate(1000, 1)
    alone = RateTable(bytes(32))
    shared = RateTable(bytes(32), RateTable.create(folder / "rates"))
    took = {
        "key": cpu_us(lambda _: ring.find(given), rounds=rounds),
        "rate_of_one_process": cpu_us(lambda _: alone.admit("a", rate), rounds=rounds),
        "rate_of_several": cpu_us(lambda _: shared.admit("a", rate), rounds=rounds),
        "rate_of_several_new_names": cpu_us(lambda n: shared.admit(str(n), rate), rounds=rounds),
        "signed_addresses": cpu_us(lambda n: links.query("index", n), rounds=rounds),
    }
    shared.close()
    return took


def compression(folder: Path, *, results: int, rounds: int) -> dict[str, Any]:
    """Milliseconds and ratio of each level."""
    prepare(folder / "demo")
    options = IndexOptions(folder / "demo" / "index", columns_to_return=COLUMNS)
    services = Services(ServerSettings(indices={"emoji": options}))
    body = json.dumps({"text": "a red apple", "num_images": results, "images": "link"})
    answer = create_app(services).test_client().post("/knn-service", data=body).data
    services.close()
    levels = {
        level: {
            "ms": cpu_us(lambda _, at=level: gzip.compress(answer, at), rounds=rounds, calls=50)
            / 1e3,
            "ratio": round(len(gzip.compress(answer, level)) / len(answer), 4),
        }
        for level in LEVELS
    }
    return {"bytes": len(answer), "results": results, "levels": levels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(
            json.dumps(
                {
                    "machine": platform.platform(),
                    "python": platform.python_version(),
                    "cpu_us": guard(Path(name), rounds=given.rounds),
                    "gzip": compression(Path(name), results=given.results, rounds=given.rounds),
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
