"""A finished local folder to an address, so that its manifest never tells of other files."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from search_back.errors import BadFolder, ConfigError, CorruptFile
from search_back.files import read_json, write_json
from search_back.remote.addresses import HTTP, below, filesystem, scheme_of, shown
from search_back.remote.look import RemoteFolder, info_of, stamp_of
from search_back.remote.retries import RETRIES, Retries

RemoteState = Literal["absent", "complete", "other"]
_ONCE: Final = Retries(attempts=1)
# In these a folder is a part of a name; to make one would be to make a bucket.
_WITHOUT_FOLDERS: Final = frozenset({"abfs", "abfss", "az", "gcs", "gs", "oci", "oss", "s3", "s3a"})


def remote_state(url: str, manifest: str, *, retries: Retries = RETRIES) -> RemoteState:
    """Whether the manifest lies in the folder at an address, nothing does, or something else.

    Raises ``ConfigError`` for an address that cannot be written to, ``BadFolder`` for one that
    cannot be reached.
    """
    refuse_unwritable(url)
    try:
        found = info_of(url, retries=retries)
        if found is None:
            return "absent"
        if found["type"] != "directory":
            return "other"
        if info_of(below(url, manifest), retries=retries) is not None:
            return "complete"
        filled = any(files for _, files in RemoteFolder(url).walk(retries=retries))
        return "other" if filled else "absent"
    except OSError as error:
        raise BadFolder(
            f"the output address cannot be read ({error.strerror})",
            value=shown(url),
            remedy="check it, and what you may read there",
        ) from error


def refuse_unwritable(url: str) -> None:
    """Raise ``ConfigError`` for an address that nothing can be uploaded to."""
    if scheme_of(url) in HTTP:
        raise ConfigError(
            "a web server takes no files",
            value=shown(url),
            remedy="give a folder, or an address such as s3://bucket/folder",
        )


def upload(
    folder: Path,
    url: str,
    *,
    last: str,
    progress: Callable[[int, int], object] | None = None,
    retries: Retries = RETRIES,
) -> None:
    """Put every file of a folder below an address, ``last`` after all others.

    What lies there under the name ``last`` is deleted before the first file is put, so that who
    finds it finds all that it tells of. A journal beside the folder tells what was put, with the
    stamp that the address gave it: a call after a killed one puts only the rest, and what was
    changed since on either side. ``progress``: called with the bytes that are done and all there
    are. Raises ``BadFolder`` for a folder without ``last``, and ``OSError``.
    """
    refuse_unwritable(url)
    files = _files_of(folder, last)
    journal = _Journal(journal_of(folder), url)
    missing = journal.missing(files, retries)
    if missing:
        _delete(below(url, last), retries)
        missing = list(dict.fromkeys([*missing, last]))
    _make_folders({below(url, name).rpartition("/")[0] for name in missing}, retries)
    total = sum(file.size for file in files.values())
    done = total - sum(files[name].size for name in missing)
    for name in missing:
        if progress:
            progress(done, total)
        stamp = _put(folder / name, below(url, name), files[name].size, retries)
        journal.add(name, files[name], stamp)
        done += files[name].size
    if progress:
        progress(done, total)


def journal_of(folder: Path) -> Path:
    """Where :func:`upload` notes what it has put."""
    return folder.with_name(f".{folder.name}.uploaded.json")


class _File(NamedTuple):
    size: int
    changed_ns: int


class _Journal:
    """Which files of a folder lie at an address, written whole after each. For one thread."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url
        self._put: dict[str, list[Any]] = {}
        with suppress(FileNotFoundError, CorruptFile):
            told = read_json(path)
            if told.get("url") == url:
                self._put = told["files"]

    def missing(self, files: Mapping[str, _File], retries: Retries) -> list[str]:
        """The files that were not put as they are, or are not there as they were put."""
        there = _stamps_at(self._url, retries) if self._put else {}
        return [
            name
            for name, file in files.items()
            if self._put.get(name) != [*file, there.get(below(self._url, name))]
        ]

    def add(self, name: str, file: _File, stamp: str) -> None:
        self._put[name] = [*file, stamp]
        write_json(self._path, {"url": self._url, "files": self._put})


def _files_of(folder: Path, last: str) -> dict[str, _File]:
    """By name below the folder, ``last`` at the end."""
    if not (folder / last).is_file():
        raise BadFolder(f"{folder} has no {last}", remedy="finish it before it is uploaded")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found = {}
    for name in [*sorted(names - {last}), last]:
        told = (folder / name).stat()
        found[name] = _File(told.st_size, told.st_mtime_ns)
    return found


def _stamps_at(url: str, retries: Retries) -> dict[str, str]:
    """By address."""
    if info_of(url, retries=retries) is None:
        return {}
    walk = RemoteFolder(url).walk(retries=retries)
    return {file.url: file.stamp for _, files in walk for file in files}


def _delete(url: str, retries: Retries) -> None:
    def delete() -> None:
        if info_of(url, retries=_ONCE) is not None:
            system, path = filesystem(url)
            system.rm_file(path)

    retries.run(delete, url)


def _make_folders(urls: set[str], retries: Retries) -> None:
    for url in sorted(urls):
        if scheme_of(url) not in _WITHOUT_FOLDERS:
            retries.run(partial(_make_folder, url), url)


def _make_folder(url: str) -> None:
    system, path = filesystem(url)
    system.makedirs(path, exist_ok=True)


def _put(file: Path, url: str, size: int, retries: Retries) -> str:
    """The stamp of what was put."""

    def put() -> str:
        system, path = filesystem(url)
        system.put_file(str(file), path)
        found = info_of(url, retries=_ONCE) or {"size": 0}
        if found["size"] != size:
            raise OSError(errno.EIO, f"{found['size']} bytes arrived of {size}", shown(url))
        return stamp_of(found)

    return retries.run(put, url)
