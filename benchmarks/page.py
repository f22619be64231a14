"""Does the page scroll at 60 frames a second with 10,000 results?

::

    python benchmarks/page.py --results 1000 4500 10000 > page.json

Needs the extra ``test`` (Playwright) and Chromium. The embeddings of the bundled pictures, repeated
with a little noise until there are enough, become an index; a server of its own serves it; a
headless browser is scrolled until that many results are on the page (``loading``: the time of the
whole, and of the tasks that held the page up for more than 50 ms). Then the page is scrolled, one
step a frame, over ``--frames`` frames from its beginning, from its middle and before its end;
interleaved, as the floor, an empty page of the same height. ``frame_ms``: between frames;
``late_share``: of the frames, those that came half a frame late or more. The floor's are the
machine's doing, ``late_beyond_floor`` is the page's. What follows is time that the page's main
thread has run, which other programs disturb least: ``main_ms``, of a frame; ``main_over_share``: of
the frames, those that took it longer than a screen gives; ``cpu_ms_per_frame``: the mean, of which
layout and style. ``back_ms``: from the step back in the history, out of another search,
to the first frame that has all of the results again and shows the pictures in sight, the median of
three. JSON on stdout, progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from search_back.cli.demo import prepare
from search_back.files import write_json
from search_back.index.build import BuildSettings, build

QUERY = "?query=animal&deduplicate=false"
FRAME_MS = 1000 / 60
# A screen's clock is not the page's: a frame counts as late where it comes half a frame later.
LATE_MS = 1.5 * FRAME_MS
NOISE = 0.02
WINDOW = {"width": 1280, "height": 900}
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
COLUMNS = ["image_path", "caption", "group"]
METRICS = {"all": "TaskDuration", "layout": "LayoutDuration", "style": "RecalcStyleDuration"}
MARK = "page.py: frame"
TASK = "ThreadControllerImpl::RunTask"
TRACED = ["toplevel", "blink.user_timing"]

# Frames begin once nothing is loaded any more: what is measured is the scrolling alone.
SCROLL = """async ([frames, step, from, mark]) => {
  const next = () => new Promise(requestAnimationFrame);
  const end = document.documentElement.scrollHeight - innerHeight;
  scrollTo(0, Math.min(from * end, end - frames * step));
  for (let i = 0; i < 30; i++) await next();
  const times = [];
  let before = await next();
  for (let i = 0; i < frames; i++) {
    performance.mark(mark);
    scrollBy(0, step);
    const now = await next();
    times.push(now - before);
    before = now;
  }
  performance.mark(mark);
  return times;
}"""
EMPTY = """<!doctype html><meta name="viewport" content="width=device-width"><title>empty</title>
<style>body { margin: 0; } div { height: HEIGHTpx; }</style><div></div>"""
LOAD = """async (wanted) => {
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: "longtask" });
  const began = performance.now();
  const count = () => document.querySelectorAll("#results .card").length;
  while (count() < wanted) {
    scrollTo(0, document.documentElement.scrollHeight);
    await new Promise(requestAnimationFrame);
  }
  const seconds = (performance.now() - began) / 1000;
  const loaded = () => document.querySelectorAll("#results .loaded").length;
  for (let before = -1; before !== loaded(); ) {
    before = loaded();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  return { seconds, cards: count(), tasks };
}"""
BACK = """async (wanted) => {
  const began = performance.now();
  history.back();
  const count = () => document.querySelectorAll("#results .card").length;
  const isSeen = (x, y) => {
    const card = document.elementFromPoint(x * innerWidth, y * innerHeight)?.closest(".card");
    return !card || card.matches(".loaded") && card.querySelector("img")?.complete;
  };
  const steps = [0.1, 0.3, 0.5, 0.7, 0.9];
  const isShown = () => count() >= wanted && steps.every((x) => steps.every((y) => isSeen(x, y)));
  do await new Promise(requestAnimationFrame); while (!isShown());
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_index(demo: Path, folder: Path, rows: int) -> Path:
    """An index of ``rows`` pictures: the bundled ones, again and again, each time a little off."""
    vectors = np.load(next((demo / "embeddings/img_emb").glob("*.npy"))).astype(np.float32)
    table = pq.read_table(next((demo / "embeddings/metadata").glob("*.parquet")), columns=COLUMNS)
    taken = np.arange(rows) % len(vectors)
    noise = np.random.default_rng(0).standard_normal((rows, vectors.shape[1]), np.float32)
    noisy = vectors[taken] + NOISE * noise
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    embeddings = folder / "embeddings"
    for part in ("img_emb", "metadata"):
        (embeddings / part).mkdir(parents=True)
    np.save(embeddings / "img_emb/img_emb_0.npy", noisy.astype(np.float16))
    pq.write_table(table.take(pa.array(taken)), embeddings / "metadata/metadata_0.parquet")
    described = json.loads((demo / "embeddings/embeddings.json").read_text(encoding="utf-8"))
    described |= {"count": rows, "has_text": False, "columns": COLUMNS}
    write_json(embeddings / "embeddings.json", described)
    build(BuildSettings(embeddings_folder=embeddings, index_folder=folder / "index"))
    return folder / "index"


@contextmanager
def serving(index: Path, folder: Path) -> Iterator[str]:
    paths = folder / "indices_paths.json"
    write_json(paths, {"pictures": str(index)})
    command = [sys.executable, "-m", "search_back.cli", "back", "--port", "0"]
    command += ["--indices-paths", str(paths)]
    with (folder / "server.log").open("w+", encoding="utf-8") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield _address(server, folder / "server.log")
        finally:
            server.terminate()
            server.wait(timeout=30)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    while server.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("serving "):
                return f"http://127.0.0.1:{line.rsplit(':', 1)[1]}/"
        time.sleep(0.1)
    raise SystemExit(log.read_text(encoding="utf-8"))


def spent(session: CDPSession) -> dict[str, float]:
    """Milliseconds that the page's main thread has spent so far, by kind."""
    found = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return {kind: found[name] * 1e3 for kind, name in METRICS.items()}


@dataclass(frozen=True)
class Stretch:
    """Milliseconds of every frame of a stretch: since the one before, and of the main thread."""

    times: list[float]
    main: list[float]
    cost: dict[str, float]


def scrolled(page: Page, session: CDPSession, browser: Browser, *how: float) -> Stretch:
    """``how``: frames, step in pixels, start."""
    browser.start_tracing(page=page, categories=TRACED)
    before = spent(session)
    times: list[float] = page.evaluate(SCROLL, [*how, MARK])
    after = spent(session)
    trace = json.loads(browser.stop_tracing())
    cost = {kind: after[kind] - before[kind] for kind in after}
    return Stretch(times, by_frame(trace["traceEvents"]), cost)


def by_frame(events: list[dict[str, Any]]) -> list[float]:
    """Milliseconds that the thread which set the marks has run from each to the next."""
    marks = [event for event in events if event["name"] == MARK]
    thread = (marks[0]["pid"], marks[0]["tid"])
    starts = sorted(mark["ts"] for mark in marks)
    found = [0.0] * len(starts)
    for event in events:
        if event["name"] == TASK and (event["pid"], event["tid"]) == thread and "tdur" in event:
            # The task that sets a mark goes on to draw what the mark begins.
            place = bisect(starts, event["ts"] + event["dur"]) - 1
            if place >= 0:
                found[place] += event["tdur"] / 1e3
    # After the last mark comes no frame.
    return found[:-1]


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "max": round(ordered[-1], 1),
    }


def share(values: list[float], limit: float) -> float:
    return round(sum(value > limit for value in values) / len(values), 3)


def pooled(stretches: list[Stretch]) -> dict[str, Any]:
    times = [ms for stretch in stretches for ms in stretch.times]
    main = [ms for stretch in stretches for ms in stretch.main]
    cost = {kind: sum(stretch.cost[kind] for stretch in stretches) for kind in METRICS}
    return {
        "frame_ms": spread(times),
        "late_share": share(times, LATE_MS),
        "main_ms": spread(main),
        "main_over_share": share(main, FRAME_MS),
        "cpu_ms_per_frame": {kind: round(ms / len(times), 2) for kind, ms in cost.items()},
    }


def measured(
    browser: Browser, page: Page, floor: Page, wanted: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Load and scroll; ``page`` shows the first results already."""
    loaded = page.evaluate(LOAD, wanted)
    say(f"{loaded['cards']} results in {loaded['seconds']:.0f} s")
    floor.set_content(
        EMPTY.replace("HEIGHT", str(page.evaluate("document.documentElement.scrollHeight")))
    )
    sessions = {}
    for one in (page, floor):
        sessions[one] = one.context.new_cdp_session(one)
        sessions[one].send("Performance.enable", {"timeDomain": "threadTicks"})
    runs: dict[str, list[Stretch]] = {"page": [], "floor": []}
    for start in (0, 0.5, 1):
        for name, one in (("floor", floor), ("page", page)):
            one.bring_to_front()
            how = (options.frames, options.step, start)
            runs[name].append(scrolled(one, sessions[one], browser, *how))
    page.bring_to_front()
    back = [came_back(page, wanted) for _ in range(3)]
    tasks = loaded["tasks"]
    found = {name: pooled(stretches) for name, stretches in runs.items()}
    late = found["page"]["late_share"] - found["floor"]["late_share"]
    return {
        "results": loaded["cards"],
        "loading": {
            "seconds": round(loaded["seconds"], 1),
            "long_tasks": len(tasks),
            "longest_task_ms": round(max(tasks, default=0)),
        },
        **found,
        "late_beyond_floor": round(late, 3),
        "back_ms": round(statistics.median(back)),
    }


def came_back(page: Page, wanted: int) -> float:
    """Milliseconds from another search, whose results are shown, to this one again."""
    page.locator("#query").fill("guitar")
    page.locator("#query").press("Enter")
    page.wait_for_function(
        "n => document.querySelectorAll('#results .card').length < n", arg=wanted
    )
    page.locator("#results .card.loaded").first.wait_for()
    found: float = page.evaluate(BACK, wanted)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=int, nargs="+", default=[1000, 4500, 10_000])
    parser.add_argument("--frames", type=int, default=200, help="a stretch; there are three")
    parser.add_argument("--step", type=int, default=40, help="pixels a frame")
    parser.add_argument("--demo", type=Path, help="a prepared demo folder")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        demo = options.demo or folder / "demo"
        prepare(demo)
        # The last page of results is a whole one.
        index = make_index(demo, folder, max(options.results) + 200)
        with serving(index, folder) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.browser, args=FLAGS)
            found = []
            for wanted in options.results:
                context = browser.new_context(viewport=WINDOW)
                page, floor = context.new_page(), context.new_page()
                page.bring_to_front()
                page.goto(url + QUERY)
                page.locator("#results .card.loaded").first.wait_for()
                found.append(measured(browser, page, floor, wanted, options))
                context.close()
            named = {"chromium": browser.version}
            browser.close()
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    print(json.dumps({"machine": machine, "versions": named, "runs": found}, indent=2))


if __name__ == "__main__":
    main()
