"""Import open_clip and transformers, also where torchvision's operators do not match torch.

A CPU build of torch next to the registry's ordinary torchvision cannot import torchvision: its
non-maximum suppression operators are missing. They are never called here, so declaring them is
enough. They must not be declared where they exist: that aborts the process.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# The declarations live as long as the library object.
_libraries: list[object] = []


@cache
def open_clip() -> ModuleType:
    """Return the `open_clip` module, importing torch and torchvision in the order that works.

    Raises `ImportError` where the packages are absent, and whatever else torchvision raises.
    """
    _import_torchvision()
    return importlib.import_module("open_clip")


@cache
def transformers() -> ModuleType:
    """Return the `transformers` module; it uses torchvision where there is one.

    Raises `ImportError` where it is absent.
    """
    with contextlib.suppress(ImportError):
        _import_torchvision()
    return importlib.import_module("transformers")


@contextlib.contextmanager
def quiet(transformers: ModuleType) -> Iterator[None]:
    """Transformers tells of nothing but errors of its own, for the length of the block."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
        _declare_missing_operators()
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")


def _declare_missing_operators() -> None:
    from torch import library as torch_library

    make_library: Any = torch_library.Library
    library = make_library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{_SIGNATURE}")
    _libraries.append(library)
