"""Files that are whole or not there: temporary file, fsync, rename; checksums; folder layout."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from search_back.errors import CorruptFile

EMBEDDINGS_MANIFEST: Final = "embeddings.json"
INDEX_MANIFEST: Final = "index.json"
METADATA_FOLDER: Final = "metadata"
FAILURES: Final = "failures.parquet"
EMBEDDING_FOLDERS: Final = {"image": "img_emb", "text": "text_emb"}
INDEX_FILES: Final = {"image": "image.index", "text": "text.index"}


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """A path beside ``target`` to write a file or folder at; renamed to it when the block ends.

    A reader sees the old one or the new one, never a part. On an error nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        settle(part, target)
    finally:
        _remove(part)


def settle(part: Path, target: Path) -> None:
    """Flush a file or folder to the disk and rename it to ``target``, in the same folder."""
    sync(part)
    if part.is_dir() and target.exists():
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        os.rename(target, old)
        os.rename(part, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(part, target)
    _sync_folder(target.parent)


def sweep(folder: Path) -> None:
    """Remove what :func:`publish` left in a folder when its process was killed.

    For folders that one program writes at a time: it would take the parts of another.
    """
    for left in [*folder.glob(".*.part"), *folder.glob(".*.old")]:
        _remove(left)


def recover(target: Path) -> None:
    """Tidy up after a :func:`publish` of ``target`` that was killed; what it replaced is put back.

    For a target that one program writes at a time.
    """
    beside = f".{glob.escape(target.name)}.*"
    for old in target.parent.glob(f"{beside}.old"):
        if target.exists():
            _remove(old)
        else:
            os.rename(old, target)
    for part in target.parent.glob(f"{beside}.part"):
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or a folder with all that is in it, to the disk."""
    for found in [*sorted(path.rglob("*")), path] if path.is_dir() else [path]:
        if found.is_dir():
            _sync_folder(found)
        elif found.is_file():
            with open(found, "rb") as handle:
                os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """64 hex digits."""
    with open(path, "rb") as handle:
        digest = hashlib.sha256()
        while block := handle.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Publish a JSON object, indented for people."""
    with publish(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises ``CorruptFile`` where the file is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptFile(
            f"{path} is not valid JSON ({error})", remedy="restore it, or make it again"
        ) from error
    if not isinstance(value, dict):
        raise CorruptFile(f"{path} should hold a JSON object", value=type(value).__name__)
    return value
