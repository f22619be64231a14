"""An inference run told to a Prometheus Pushgateway while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import unquote, urlsplit

import requests
from prometheus_client import CollectorRegistry, pushadd_to_gateway
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from requests.auth import HTTPBasicAuth

from search_back.errors import ConfigError
from search_back.inference.report import Progress
from search_back.remote.addresses import last_part

JOB: Final = "search_back_inference"
GROUP: Final = "output_folder"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where to push: ``address`` can be shown to anybody, ``login`` (name, password) to nobody."""

    address: str
    login: tuple[str, str] | None = field(default=None, repr=False)


def parse_gateway(url: str) -> Gateway:
    """``http://host:9091``, ``https://name:password@host/path`` or ``host:9091``.

    Raises ``ConfigError``, which does not show the address: it may hold a password.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ConfigError(
            "--push-metrics is no address of a Pushgateway",
            remedy="give one like http://localhost:9091",
        )
    shown = f"[{host}]" if ":" in host else host
    address = f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{parts.path}"
    login = None
    if parts.username is not None:
        login = (unquote(parts.username), unquote(parts.password or ""))
    return Gateway(address.rstrip("/"), login)


class Pushing:
    """A ``Progress`` that hands all on to ``shown``, and pushes figures in the meantime.

    Every ``EVERY_S`` seconds and when the block ends, in a thread of its own: the run waits for
    the last push only, and no longer than ``LAST_S``. A gateway that cannot be reached is told
    once, in the run's thread; ``problem`` keeps it. ``folder``: the output's path or address; its
    name groups the figures of its runs.
    """

    EVERY_S: Final = 15.0
    LAST_S: Final = 5.0

    def __init__(
        self,
        gateway: Gateway,
        folder: Path | str,
        shown: Progress,
        *,
        every_s: float = EVERY_S,
        last_s: float = LAST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._shown = shown
        self._every_s = every_s
        self._last_s = last_s
        # A name on disk may be any bytes.
        last = last_part(folder) if isinstance(folder, str) else folder.expanduser().resolve().name
        name = last.encode("utf-8", "backslashreplace").decode()
        self._group = {GROUP: name}
        self._figures = _Figures(clock)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._figures)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pushing", daemon=True)
        self._told = False
        self.problem: str | None = None

    def note(self, sentence: str) -> None:
        self._shown.note(sentence)

    def resumed(self, done: int) -> None:
        self._figures.resumed(done)
        self._shown.resumed(done)

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        self._figures.update(done=done, total=total, failures=failures)
        self._shown.update(done=done, total=total, failures=failures)
        self._tell()

    def __enter__(self) -> Pushing:
        self._figures.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._figures.end(finished=kind is None)
        self._over.set()
        self._thread.join(self._last_s)
        if self._thread.is_alive():
            self.problem = self.problem or self._said("it does not answer")
        self._tell()

    def _tell(self) -> None:
        if self.problem is not None and not self._told:
            self._told = True
            self._shown.note(self.problem)

    def _said(self, why: str) -> str:
        return f"metrics cannot be pushed to {self._gateway.address}: {why}; the run goes on"

    def _work(self) -> None:
        while not self._over.wait(self._every_s):
            self._push()
        self._push()

    def _push(self) -> None:
        try:
            pushadd_to_gateway(
                self._gateway.address,
                JOB,
                self._registry,
                grouping_key=self._group,
                timeout=self._last_s,
                handler=partial(_request, login=self._gateway.login),
            )
        except requests.Timeout:
            self.problem = self.problem or self._said("it does not answer")
        except requests.ConnectionError:
            self.problem = self.problem or self._said("nothing answers there")
        except (OSError, ValueError) as error:
            self.problem = self.problem or self._said(str(error))


class _Figures(Collector):
    """The figures of one run. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._ended: float | None = None
        self._finished: float | None = None
        self._behind = 0
        self._known: tuple[int, int | None, int] | None = None

    def start(self) -> None:
        with self._lock:
            self._began = self._clock()

    def resumed(self, done: int) -> None:
        with self._lock:
            self._behind = done
            self._known = (done, None, 0)

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        with self._lock:
            self._known = (done, total, failures)

    def end(self, *, finished: bool) -> None:
        with self._lock:
            self._ended = self._clock()
            self._finished = time.time() if finished else None

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            known, finished = self._known, self._finished
            ended = self._clock() if self._ended is None else self._ended
            seconds = ended - self._began
        # A run that had nothing to do leaves the figures of the one that did it.
        if known is not None:
            done, total, failures = known
            yield CounterMetricFamily(f"{JOB}_items", "Items looked into", done)
            yield CounterMetricFamily(f"{JOB}_failures", "What could not be used", failures)
            yield GaugeMetricFamily(
                f"{JOB}_items_expected",
                "Items of the input; NaN where nobody has counted them",
                float("nan") if total is None else total,
            )
            rate = (done - self._behind) / seconds if seconds > 0 else 0.0
            yield GaugeMetricFamily(f"{JOB}_items_per_second", "Items a second, so far", rate)
        if finished is not None:
            yield GaugeMetricFamily(
                f"{JOB}_finished_timestamp_seconds", "When a run was last done", finished
            )


def _request(
    *,
    url: str,
    method: str,
    timeout: float | None,
    headers: list[tuple[str, str]],
    data: bytes,
    login: tuple[str, str] | None,
) -> Callable[[], None]:
    """As ``prometheus_client`` asks for: what sends one request.

    Unlike its own, it follows no redirects, which could take the login to another host.
    """

    # As bytes: of text, requests sends Latin-1 only.
    auth = login and HTTPBasicAuth(*(part.encode("utf-8", "surrogateescape") for part in login))

    def send() -> None:
        answer = requests.request(
            method,
            url,
            data=data,
            headers=dict(headers),
            auth=auth,
            timeout=timeout,
            allow_redirects=False,
        )
        if answer.status_code >= 300:
            raise OSError(f"it answers {answer.status_code} {answer.reason}")

    return send
