"""Whether the files of an index folder are those that were built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from search_back.errors import CorruptFile
from search_back.files import sha256_file

READ_WHOLE: Final = 32 * 2**20
SAMPLES, SAMPLE_BYTES = 64, 16_384
SEALS: Final = "seals"
CHECKSUMS: Final = "checksums"


def seal(path: Path) -> dict[str, Any]:
    """``bytes`` and ``sample``: what :func:`check_seal` compares a file with."""
    return {"bytes": path.stat().st_size, "sample": _sample(path)}


def check_seal(folder: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """A quick look at a file: its size, and all of it or a sample of it; raises ``CorruptFile``.

    A file that the manifest does not tell of is taken as it is.
    """
    expected = manifest.get(SEALS, {}).get(name)
    path = folder / name
    if not expected or not path.is_file():
        return
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise _changed(path, f"{size} bytes, built with {expected['bytes']}")
    if _sample(path) != expected["sample"]:
        raise _changed(path, "other contents than were built")


def verify(folder: Path, manifest: Mapping[str, Any]) -> int:
    """Read every file that has a checksum and compare: how many; raises ``CorruptFile``."""
    checksums = manifest.get(CHECKSUMS) or {}
    for name, expected in checksums.items():
        path = folder / name
        if not path.is_file():
            raise _changed(path, "missing")
        if sha256_file(path) != expected:
            raise _changed(path, "other contents than were built")
    return len(checksums)


def _sample(path: Path) -> str:
    """sha256 of a small file, or of its ends and places spread over a large one."""
    size = path.stat().st_size
    if size <= READ_WHOLE:
        return sha256_file(path)
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for i in range(SAMPLES):
            handle.seek(i * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            digest.update(handle.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _changed(path: Path, how: str) -> CorruptFile:
    return CorruptFile(
        f"{path} is not the file that was built",
        value=how,
        remedy="restore it, or build the index again",
    )
