"""429: by address, by key, over processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from search_back.config import IndexOptions, Rate
from search_back.guard import add_key
from tests.conftest import Chain, start_server


def ask(app: Flask, path: str = "/indices-list", peer: str = "192.0.2.1", **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(
        path, headers=given, environ_overrides={"REMOTE_ADDR": peer}, buffered=True
    )


@pytest.fixture
def app(serve_app: Callable[..., Flask], chain: Chain) -> Flask:
    """Three requests an hour of each address."""
    return serve_app({"emoji": IndexOptions(chain.index)}, rate_per_address=Rate(3, 3600))


def test_who_asks_too_often_is_told_when_to_come_again(app: Flask) -> None:
    assert [ask(app).status_code for _ in range(3)] == [200] * 3
    refused = ask(app)
    assert refused.status_code == 429
    assert refused.json["code"] == "rate_limited"
    assert "3/h" in refused.json["message"]
    assert 1195 <= int(refused.headers["Retry-After"]) <= 1200
    assert (
        'search_back_errors_total{code="rate_limited"} 1.0'
        in ask(app, "/metrics", peer="192.0.2.9").text
    )


def test_everyone_has_a_bucket_of_their_own(app: Flask) -> None:
    for peer in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"):
        assert [ask(app, peer=peer).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_one_network_of_version_6_is_one_client(app: Flask) -> None:
    peers = [f"2001:db8:0:1::{i}" for i in range(1, 5)]
    assert [ask(app, peer=peer).status_code for peer in peers] == [200, 200, 200, 429]
    mapped = ["192.0.2.5", "::ffff:192.0.2.5", "192.0.2.5", "::ffff:192.0.2.5"]
    assert [ask(app, peer=peer).status_code for peer in mapped] == [200, 200, 200, 429]


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/js/main.js"])
def test_probes_and_the_page_are_not_counted(app: Flask, path: str) -> None:
    for _ in range(5):
        assert ask(app, path).status_code != 429
    assert ask(app).status_code == 200


def test_a_header_makes_no_new_client(app: Flask) -> None:
    answers = [ask(app, X_Forwarded_For=f"192.0.2.{i}").status_code for i in range(4)]
    assert answers == [200, 200, 200, 429]


def test_ten_pictures_count_as_one_request(app: Flask) -> None:
    thumbnails = [ask(app, "/indices/emoji/thumbnails/1").status_code for _ in range(31)]
    assert thumbnails == [200] * 30 + [429]


def test_wrong_keys_and_wrong_paths_are_counted(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Path
) -> None:
    add_key(tmp_path / "keys.json", "a", scopes=["read"])
    app = serve_app(
        {"emoji": IndexOptions(chain.index)},
        keys_file=tmp_path / "keys.json",
        rate_per_address=Rate(3, 3600),
    )
    assert [ask(app, X_API_Key=f"sb_{i}").status_code for i in range(4)] == [401, 401, 401, 429]


def test_a_key_has_its_own_rate_wherever_it_comes_from(
    serve_app: Callable[..., Flask], chain: Chain, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    slow = add_key(path, "slow", scopes=["read"], rate=Rate(2, 60))
    free = add_key(path, "free", scopes=["read"])
    app = serve_app({"emoji": IndexOptions(chain.index)}, keys_file=path)
    peers = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert [ask(app, peer=p, X_API_Key=slow).status_code for p in peers] == [200, 200, 429]
    assert [ask(app, X_API_Key=free).status_code for _ in range(5)] == [200] * 5


def test_processes_count_together(chain: Chain, tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = ["--index-folder", str(chain.index), "--rate-limit-per-address", "30/h"]
    server = start_server([*arguments, "--server", "gunicorn", "--workers", "2"], log=log)
    try:
        with ThreadPoolExecutor(8) as pool:
            body = json.dumps({"ids": [1], "images": "none"})
            asked = pool.map(
                lambda _: requests.post(f"{server.url}/metadata", body, timeout=30), range(60)
            )
            answers = list(asked)
        # At 30 an hour one is refilled in two minutes.
        assert Counter(answer.status_code for answer in answers) == {200: 30, 429: 30}
        assert requests.get(f"{server.url}/health", timeout=30).status_code == 200
    finally:
        assert server.stop() == 0, log.read_text()
