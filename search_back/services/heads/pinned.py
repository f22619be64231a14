"""Reading a file whose sha256 may be asked for."""

from __future__ import annotations

import hashlib
import logging
from io import BytesIO
from pathlib import Path

import numpy as np

from search_back.config import PinnedFile
from search_back.errors import ConfigError, CorruptFile
from search_back.types import FloatArray

LOGGER = logging.getLogger(__name__)


def read_pinned(file: PinnedFile) -> bytes:
    """The bytes of a file, once they are those asked for; the log names their sha256.

    What is checked is what is used: the file is read once. Raises ``ConfigError`` for a file that
    cannot be read, ``CorruptFile`` for one with another sha256.
    """
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "a file that the options name cannot be read",
            value=str(file.path),
            remedy=str(error.strerror),
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if file.sha256 is not None and digest != file.sha256:
        raise CorruptFile(
            f"{file.path} has not the sha256 that is asked for, {file.sha256}",
            value=digest,
            remedy="get the file again, or correct the option",
        )
    LOGGER.info("read %s, sha256 %s", file.path, digest)
    return data


def read_array(path: Path, data: bytes) -> FloatArray:
    """The array of a ``.npy`` file, as float32; raises ``CorruptFile``."""
    try:
        values = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise broken(path, str(error)) from error
    if not isinstance(values, np.ndarray):
        raise broken(path, "an archive of several arrays")
    return finite(path, values)


def finite(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> FloatArray:
    """Real numbers as float32; raises ``CorruptFile`` for others, for NaN and infinity."""
    if values.dtype.kind not in "fiu":
        raise broken(path, f"values of type {values.dtype}, no numbers")
    with np.errstate(over="ignore"):  # what float32 does not hold is infinite, and refused
        numbers = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise broken(path, "NaN or infinity")
    return numbers


def broken(path: Path, found: str) -> CorruptFile:
    return CorruptFile(
        f"{path} cannot be used", value=found, remedy="get the file again, or give another"
    )
