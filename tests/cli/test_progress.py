"""Progress as lines of JSON, and the file of stats."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from search_back.cli import main
from search_back.cli.progress import ProgressLines
from search_back.files import read_json
from tests.fakes import picture_bytes


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_a_second_and_a_last_one() -> None:
    now = [0.0]
    stream = io.StringIO()
    with ProgressLines(stream, clock=lambda: now[0]) as progress:
        progress.note("a note — told at once")
        for i in range(1, 26):
            now[0] = i * 0.1
            progress.update(done=i, total=50, failures=i // 20)
    note, *events = lines(stream.getvalue())
    assert note == {"event": "note", "text": "a note — told at once"}
    assert [event["items"] for event in events] == [1, 11, 21, 25]
    assert events[-1] == {
        **{"event": "progress", "items": 25, "total": 50, "failures": 1},
        **{"items_per_second": 10.0, "eta_s": 2.5},
    }


def test_an_unknown_total_has_no_time_left() -> None:
    stream = io.StringIO()
    with ProgressLines(stream, clock=lambda: 0.0) as progress:
        progress.update(done=3, total=None, failures=0)
    (event,) = lines(stream.getvalue())
    assert (event["total"], event["eta_s"], event["items_per_second"]) == (None, None, 0.0)


def embed(tmp_path: Path, progress: str) -> Result:
    (tmp_path / "in").mkdir()
    for i in range(2):
        (tmp_path / "in" / f"{i}.png").write_bytes(picture_bytes("red", size=(64, 64)))
    arguments = ["inference", "--clip-model", "emoji", "--progress", progress, "--input-dataset"]
    arguments += [str(tmp_path / "in"), "--output-folder", str(tmp_path / "out")]
    return CliRunner().invoke(main, arguments)


def test_stderr_is_json_and_stats_are_listed(tmp_path: Path) -> None:
    result = embed(tmp_path, "json")
    assert result.exit_code == 0, result.output
    events = lines(result.stderr)
    assert {event["event"] for event in events} == {"note", "progress"}
    assert [e["items"] for e in events if e["event"] == "progress"][-1] == 2
    stats = read_json(tmp_path / "out" / "stats" / "stats_0.json")
    assert stats["count"] == 2 and stats["seconds"] > 0
    assert set(stats["stages"]) == {"scan", "embed", "write"}


def test_none_draws_no_bar(tmp_path: Path) -> None:
    result = embed(tmp_path, "none")
    assert result.exit_code == 0, result.output
    assert "items/s" not in result.stderr and "2 items in" in result.stderr
