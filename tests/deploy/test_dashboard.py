"""Every panel and every alert, asked of a real Prometheus that watches a real server."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.conftest import Chain, start_server, wait_for

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
SCRAPES = 4
CONFIG = """
global: {{scrape_interval: 1s}}
rule_files: [{alerts}]
scrape_configs:
  - job_name: search-back
    static_configs: [{{targets: ["{target}"]}}]
"""
REQUIRED = "SEARCH_BACK_REQUIRE_PROMETHEUS"
pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None and not os.environ.get(REQUIRED),
    reason="needs Prometheus",
)


@pytest.fixture(scope="module")
def prometheus(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has watched a server answer all kinds of requests."""
    home = tmp_path_factory.mktemp("watched")
    broken = home / "broken"
    broken.mkdir()
    (broken / "image.index").write_bytes(b"no index")
    server = start_server(
        [
            *("--index-folder", str(chain.index), "--index-folder", str(broken)),
            *("--workers", "2", "--otlp-endpoint", ""),
        ],
        log=home / "server.log",
    )
    picture = b64encode(next(chain.pictures.glob("*.jpg")).read_bytes()).decode()
    rounds = itertools.count()
    wait_for(lambda: ask(server.url, picture, next(rounds)), log=server.log)
    target = server.url.removeprefix("http://")
    config, log, port = home / "prometheus.yml", home / "prometheus.log", free_port()
    config.write_text(CONFIG.format(alerts=DEPLOY / "alerts.yml", target=target))
    options = {
        "config.file": config,
        "storage.tsdb.path": home / "data",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    with open(log, "wb") as output:
        watcher = subprocess.Popen(
            ["prometheus", *(f"--{name}={value}" for name, value in options.items())],
            stdout=output,
            stderr=output,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        seen = f'count_over_time(search_back_requests_total{{status="503"}}[1m]) >= {SCRAPES}'
        wait_for(
            lambda: ask(server.url, picture, next(rounds)) and query(address, seen),
            or_dead=watcher,
            log=log,
        )
        yield address
    finally:
        watcher.terminate()
        watcher.wait()
        server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(url: str, picture: str, number: int) -> bool:
    """Words, a picture, an address that is refused, mistakes, a broken index, a reload."""
    bodies: list[dict[str, Any]] = [
        {"text": f"apple {number}", "deduplicate": True},
        {"image": picture},
        {"image_url": "http://127.0.0.1:9/a.jpg"},
        {"text": "a", "indice_name": "nobody"},
        {"text": "a", "indice_name": "broken"},
    ]
    found = [requests.post(f"{url}/knn-service", json=b, timeout=30).status_code for b in bodies]
    search = {"query": "apple", "filter": "id < 30", "index": "index"}
    requests.post(f"{url}/v1/search", json=search, timeout=30).raise_for_status()
    requests.post(f"{url}/admin/reload", timeout=60)
    return found == [200, 200, 400, 404, 503]


def query(address: str, expression: str) -> list[dict[str, Any]]:
    """What Prometheus finds; empty while it does not answer yet."""
    try:
        answer = requests.get(
            f"{address}/api/v1/query", params={"query": expression}, timeout=20
        ).json()
    except requests.ConnectionError:
        return []
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def filled_in(expression: str) -> str:
    """An expression of the dashboard, as Grafana sends it when all servers are chosen."""
    values = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize("expression", QUERIES)
def test_every_panel_has_data(prometheus: str, expression: str) -> None:
    values = [series["value"][1] for series in query(prometheus, filled_in(expression))]
    assert values
    # No model of safety is loaded, and the quantile of nothing is no number.
    assert set(values) != {"NaN"} or "safety_time" in expression


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_something_to_compare(prometheus: str, rule: dict[str, Any]) -> None:
    query(prometheus, rule["expr"])
    compared, count = re.subn(r" (==|>) ", r" \1 bool ", rule["expr"])
    assert count == 1
    assert query(prometheus, compared)


def test_a_broken_index_raises_its_alert_and_the_others_do_not(prometheus: str) -> None:
    expressions = {rule["alert"]: rule["expr"] for rule in ALERTS}
    (down,) = query(prometheus, expressions["SearchBackIndexDown"])
    assert down["metric"]["index"] == "broken"
    assert query(prometheus, expressions["SearchBackReloadFailed"])
    assert query(prometheus, expressions["SearchBackErrors"])
    for quiet in ("SearchBackDown", "SearchBackOverloaded", "SearchBackProcessesReplaced"):
        assert not query(prometheus, expressions[quiet])


def test_prometheus_has_loaded_every_rule(prometheus: str) -> None:
    groups = requests.get(f"{prometheus}/api/v1/rules", timeout=20).json()["data"]["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == [
        rule["alert"] for rule in ALERTS
    ]


@pytest.mark.parametrize("variable", BOARD["templating"]["list"][1:], ids=lambda v: v["name"])
def test_every_choice_of_the_dashboard_has_a_value(
    prometheus: str, variable: dict[str, Any]
) -> None:
    series, label = re.fullmatch(  # type: ignore[union-attr]
        r"label_values\((.+), (\w+)\)", filled_in(variable["definition"])
    ).groups()
    assert [found["metric"][label] for found in query(prometheus, series)]


@pytest.mark.parametrize("kind", ["rules", "config"])
def test_promtool_finds_no_fault(kind: str) -> None:
    file = {"rules": "alerts.yml", "config": "prometheus.yml"}[kind]
    done = subprocess.run(
        ["promtool", "check", kind, str(DEPLOY / file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_is_the_matter_and_what_to_do() -> None:
    assert len(ALERTS) >= 8
    for rule in ALERTS:
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["description"].endswith("."), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    assert len(PANELS) >= 20
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source["uid"] == "${datasource}" for source in sources), panel["title"]


def test_no_panel_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
