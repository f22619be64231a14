"""Filesystems that need no network: memory, one that fails on demand, and a web server."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from search_back.remote.retries import Retries
from tests.remote.web import Web, serving


class FlakySystem(MemoryFileSystem):  # type: ignore[misc]
    """``flaky://``: memory whose calls are counted, and fail when told to."""

    protocol = "flaky"
    calls: list[tuple[str, str]]
    faults: dict[str, deque[Exception]]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = MemoryFileSystem._strip_protocol(str(path).removeprefix("flaky://"))
        return stripped

    def _meet(self, method: str, path: str) -> None:
        self.calls.append((method, self._strip_protocol(path)))
        if self.faults.get(method):
            raise self.faults[method].popleft()

    def info(self, path: str, **kwargs: Any) -> Any:
        self._meet("info", path)
        return super().info(path, **kwargs)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        self._meet("ls", path)
        return super().ls(path, detail=detail, **kwargs)

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> Any:
        self._meet("cat_file", path)
        return super().cat_file(path, *args, **kwargs)

    def open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            self._meet("open", path)
        return super().open(path, mode, **kwargs)

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> Any:
        self._meet("put_file", rpath)
        return super().put_file(lpath, rpath, **kwargs)

    def rm_file(self, path: str) -> Any:
        self._meet("rm_file", path)
        return super().rm_file(path)


@dataclass
class Flaky:
    """`put("folder/a", b"…")` makes `flaky://folder/a`; `faults`: by method, raised in turn."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, deque[Exception]] = field(default_factory=dict)

    def put(self, path: str, data: bytes) -> None:
        MemoryFileSystem().pipe_file(f"/{path}", data)

    def fail(self, method: str, *errors: Exception) -> None:
        self.faults[method] = deque(errors)

    def count(self, method: str) -> int:
        return sum(called == method for called, _ in self.calls)

    def of(self, method: str) -> list[str]:
        """The paths that a method was called with."""
        return [path for called, path in self.calls if called == method]

    def files(self) -> dict[str, bytes]:
        return {path: data.getvalue() for path, data in sorted(MemoryFileSystem.store.items())}


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    """An empty store, which ``memory://`` shares."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    fsspec.register_implementation("flaky", FlakySystem, clobber=True)
    flaky = Flaky()
    FlakySystem.calls = flaky.calls
    FlakySystem.faults = flaky.faults
    yield flaky
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as web:
        yield web


@pytest.fixture
def waits() -> list[float]:
    """The seconds that `retries` would have waited."""
    return []


@pytest.fixture
def retries(waits: list[float]) -> Retries:
    """Five tries, without waiting."""

    def wait(stop: Event, seconds: float) -> None:
        waits.append(seconds)

    return Retries(wait=wait, jitter=lambda: 1.0)
