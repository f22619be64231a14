"""Runtimes of exported towers, by name; each is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from search_back.types import FloatArray

OpenTower = Callable[[npt.NDArray[Any]], FloatArray]
"""One tower: ``(n, …)`` inputs → ``(n, d)`` float32, not normalised. Any thread may call it."""


class TowerOpener(Protocol):
    """A runtime: opens the file of one tower."""

    title: str
    """Its name, for people."""

    def device(self) -> str:
        """Where towers run: ``cpu``, ``cuda``."""
        ...

    def __call__(self, path: Path, *, threads: int = 0) -> OpenTower:
        """``threads``: for one call; 0 leaves the choice to the runtime.

        Raises ``ModelUnavailable``, which names the file and the remedy.
        """
        ...


def tower_opener(runtime: str) -> TowerOpener:
    """The runtime of that name: ``onnx``, ``openvino``."""
    if runtime == "openvino":
        from search_back.encoders.runtimes.openvino import OpenVinoOpener

        return OpenVinoOpener()
    from search_back.encoders.runtimes.onnx import OnnxOpener

    return OnnxOpener()
