"""Requests made up from the OpenAPI document, right and wrong ones, and what is amiss with answers.

By hand: ``python -m tests.abuse.fuzz INDEX_FOLDER --count 20000``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import hypothesis
import schemathesis
from flask import Flask
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup

from search_back.config import IndexOptions, ServerSettings
from search_back.server import create_app
from search_back.services import Services

load_all_checks()
CHECKS: Final = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "status_code_conformance",
    )
]
# Of a hundred requests: what has more to get wrong is asked more.
SHARES: Final = {"/v1/search": 40, "/knn-service": 25, "/metadata": 10}
# The index cannot be had, or the time given was over: these are said on purpose.
ALLOWED: Final = {503, 504}


@dataclass
class Found:
    """How many requests got which status, and what was wrong: one case of each kind."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    slowest_s: float = 0.0

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())


def fuzz(app: Flask, *, count: int, seed: int = 1) -> Found:
    """Send some ``count`` requests; half are made to fit the document, half not to."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", _closed(app))
    operations = [result.ok() for result in schema.get_all_operations()]
    rest = (100 - sum(SHARES.values())) / (len(operations) - len(SHARES))
    found = Found()
    for operation in operations:
        wanted = max(2, round(count * SHARES.get(operation.path, rest) / 100))
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            _fuzz_one(operation, mode, wanted // 2, seed, found)
    return found


def _closed(app: Flask) -> Callable[..., list[bytes]]:
    """The app for the library's client, which neither closes answers nor unpacks them."""

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        with closing(app(environ, start_response)) as parts:
            return list(parts)

    return answer


def _fuzz_one(operation: Any, mode: GenerationMode, count: int, seed: int, found: Found) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        began = time.perf_counter()
        response = case.call()
        found.slowest_s = max(found.slowest_s, time.perf_counter() - began)
        found.statuses[response.status_code] += 1
        for fault in _faults(case, response):
            key = f"{operation.label}: {fault}"
            if key not in found.faults:
                found.faults[key] = f"{case.as_curl_command()}\n{response.text[:500]}"

    with suppress(hypothesis.errors.Unsatisfiable):  # nothing about this route can be got wrong
        ask()


def _faults(case: Any, response: Any) -> list[str]:
    if response.status_code >= 500 and response.status_code not in ALLOWED:
        return [f"status {response.status_code}"]
    if response.status_code == 405:
        return []  # another method than the document's
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as group:
        return [f"{type(f).__name__}: {f.title}: {f.message[:300]}" for f in group.exceptions]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    services = Services(ServerSettings(indices={"index": IndexOptions(asked.index)}))
    services.open()
    began = time.perf_counter()
    found = fuzz(create_app(services), count=asked.count, seed=asked.seed)
    for fault, case in found.faults.items():
        print(f"{fault}\n  {case}\n")
    told = {
        "requests": found.requests,
        "seconds": round(time.perf_counter() - began),
        "slowest_s": round(found.slowest_s, 2),
        "statuses": {str(k): v for k, v in sorted(found.statuses.items())},
        "faults": len(found.faults),
    }
    print(json.dumps(told))
    services.close()


if __name__ == "__main__":
    main()
