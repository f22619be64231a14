"""Files of a model's repository: a folder of one's own, or what a hub has under that name."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from search_back.errors import ModelUnavailable

REMEDY: Final = (
    "without a model hub give a local folder that holds the model: hf:FOLDER, or a checkpoint "
    "file of open_clip: open_clip:ViT-B-32//path/to/model.pt"
)
# Other runtimes' copies of the same weights.
_NOT_OURS: Final = ("onnx/*", "openvino/*", "coreml/*", "*.onnx", "*.msgpack", "*.h5")


_lock = threading.Lock()
_inside = 0
_before = False


@contextmanager
def absent_hub_does_not_wait() -> Iterator[None]:
    """Without a network take what is cached at once; the hub's client would retry for a minute.

    Several threads may be inside: the first looks, the last puts the client's setting back.
    """
    global _inside, _before  # noqa: PLW0603  # the setting is the process's, too
    from huggingface_hub import constants

    with _lock:
        if not _inside:
            _before = constants.HF_HUB_OFFLINE
            constants.HF_HUB_OFFLINE = _before or not _hub_has_an_address(constants.ENDPOINT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                constants.HF_HUB_OFFLINE = _before


def _hub_has_an_address(endpoint: str) -> bool:
    if "https" in urllib.request.getproxies():
        return True  # names are the proxy's to resolve
    try:
        socket.getaddrinfo(urlsplit(endpoint).hostname, 443)
    except OSError:
        return False
    return True


def repository_folder(repository: str, patterns: Sequence[str]) -> Path:
    """The folder with the files of ``repository`` that match one of ``patterns``.

    A folder stays where it is; a hub's files are downloaded to its cache. Raises
    ``ModelUnavailable`` where neither can be had.
    """
    if Path(repository).is_dir():
        return Path(repository)
    from huggingface_hub import snapshot_download

    try:
        with absent_hub_does_not_wait():
            return Path(
                snapshot_download(
                    repository, allow_patterns=list(patterns), ignore_patterns=list(_NOT_OURS)
                )
            )
    except Exception as error:  # the hub's client raises many classes
        raise ModelUnavailable(
            f"{repository!r} is no folder, and no model hub has it for this machine",
            value=f"{type(error).__name__}: {error}".splitlines()[0],
            remedy=REMEDY,
        ) from error
