"""What lies at an address: a file, or a folder and what is below it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from search_back.errors import BadFolder, ConfigError
from search_back.remote.addresses import HTTP, below, filesystem, last_part, scheme_of, shown
from search_back.remote.retries import RETRIES, Retries

# What filesystems call a checksum or a time of change, the surest first. One is enough, and one
# that both a look and a listing give: of two values the weaker may change by itself.
_MARKS: Final = (
    *("ETag", "etag", "e_tag", "md5Hash", "Content-MD5", "content_md5", "Digest", "checksum"),
    *("mtime", "LastModified", "last_modified", "Last-Modified", "modificationTime"),
    *("modified", "updated", "created"),
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as it was when it was looked at.

    ``size``: bytes, None where the server does not say. ``stamp``: changes when the file does:
    its size and its checksum or time of change, as far as they are told; empty if none is.
    """

    url: str
    size: int | None
    stamp: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return last_part(self.url)

    def read(self, *, retries: Retries = RETRIES) -> bytes:
        """The whole file, for small ones; raises ``OSError``."""
        return retries.run(self._read, self.url)

    def _read(self) -> bytes:
        system, path = filesystem(self.url)
        data: bytes = system.cat_file(path)
        check_size(len(data), self)
        return data


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder of a filesystem that can list what it holds."""

    url: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return last_part(self.url)

    def walk(
        self,
        *,
        retries: Retries = RETRIES,
        on_error: Callable[[str, OSError], object] | None = None,
    ) -> Iterator[tuple[str, list[RemoteFile]]]:
        """Each folder's address and files by name, then its folders by name, depth first.

        Hidden names are among them; links are passed over. ``on_error``: told the address of a
        folder that cannot be listed, after which the walk goes on; without it the error is raised.
        Only one folder's names are held at a time.
        """
        waiting = [self.url]
        while waiting:
            folder = waiting.pop()
            try:
                files, folders = _list(folder, retries)
            except OSError as error:
                if on_error is None:
                    raise
                on_error(folder, error)
                continue
            yield folder, files
            waiting += reversed(folders)


def look(url: str, *, retries: Retries = RETRIES) -> RemoteFile | RemoteFolder:
    """The file or the folder at an address.

    Raises ``BadFolder`` where there is nothing or it cannot be reached, and ``ConfigError`` for a
    folder of a web server, which has no listing.
    """
    _refuse_listing(url, url)
    try:
        found = info_of(url, retries=retries)
    except OSError as error:
        raise BadFolder(
            f"the address cannot be read ({error.strerror})",
            value=shown(url),
            remedy="check it, and what you may read there",
        ) from error
    if found is None:
        raise BadFolder("there is nothing", value=shown(url), remedy="check the address")
    _refuse_listing(url, str(found.get("url", url)))
    return RemoteFolder(url) if found["type"] == "directory" else _file(url, found)


def info_of(url: str, *, retries: Retries = RETRIES) -> dict[str, Any] | None:
    """What the filesystem tells of an address now; None where nothing is; raises ``OSError``."""

    def read() -> dict[str, Any]:
        system, path = filesystem(url)
        system.invalidate_cache(path)
        found: dict[str, Any] = system.info(path)
        return found

    try:
        return retries.run(read, url)
    except FileNotFoundError:
        return None


def check_size(size: int, file: RemoteFile) -> None:
    """Raise ``OSError`` where as many bytes came as the file does not have."""
    if file.size not in (None, size):
        raise OSError(errno.EIO, f"{size} bytes came of {file.size}", shown(file.url))


def stamp_of(info: Mapping[str, Any]) -> str:
    """What changes when a file does, of what its filesystem tells."""
    size = _size(info)
    parts = [] if size is None else [f"size={size}"]
    for name in _MARKS:
        value = info.get(name)
        if value:
            # A listing may tell seconds where a look tells a time.
            told = value.timestamp() if isinstance(value, datetime) else value
            return " ".join([*parts, f"{name}={told}"])
    return " ".join(parts)


def _refuse_listing(url: str, answered: str) -> None:
    """``answered``: where the server sent the question on to; for a folder it adds the slash."""
    if scheme_of(url) in HTTP and answered.partition("?")[0].endswith("/"):
        raise ConfigError(
            "a web server does not list the files of a folder",
            value=shown(url),
            remedy=f"name the files: {shown(url).rstrip('/')}/{{00..09}}.tar",
        )


def _list(folder: str, retries: Retries) -> tuple[list[RemoteFile], list[str]]:
    def read() -> list[tuple[str, dict[str, Any]]]:
        system, path = filesystem(folder)
        system.invalidate_cache(path)
        return [
            (str(entry["name"]).rstrip("/").rpartition("/")[2], entry)
            for entry in system.ls(path, detail=True)
            # Object stores keep an empty object for a folder, in its own listing.
            if str(entry["name"]).strip("/") != path.strip("/")
        ]

    entries = sorted(retries.run(read, folder), key=lambda entry: entry[0])
    files = [_file(below(folder, name), info) for name, info in entries if info["type"] == "file"]
    folders = [below(folder, name) for name, info in entries if info["type"] == "directory"]
    return files, folders


def _file(url: str, info: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(url, _size(info), stamp_of(info))


def _size(info: Mapping[str, Any]) -> int | None:
    return None if info.get("size") is None else int(info["size"])
