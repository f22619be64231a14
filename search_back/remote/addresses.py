"""Addresses of files elsewhere, ``s3://bucket/folder/a.tar``, and the filesystem behind each.

An address is a scheme of two letters or more, ``://`` and a name that fsspec understands. Names
are taken as they stand, but in ``file``, ``http`` and ``https`` addresses ``%20`` is a space.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote
from urllib.request import url2pathname

from search_back.errors import ConfigError

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

# One letter is a drive of Windows.
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_LOCAL: Final = frozenset({"file", "local"})
HTTP: Final = frozenset({"http", "https"})
_PERCENT: Final = _LOCAL | HTTP
# What may stand in the path and the query of a URL; all else is sent as %XX.
_AS_IT_STANDS: Final = "%/?#:@!$&'()*+,;=[]~"
_EXTRA: Final = "pip install 'search_back[remote]'"
_PACKAGES: Final = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "hdfs": "pyarrow",
    "http": "'search_back[remote]'",
    "https": "'search_back[remote]'",
    "oss": "ossfs",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
    "webhdfs": "requests",
}
# A server that is silent for that long is gone; how long a whole file takes is not limited.
_CONNECT_S: Final = 30.0
_SILENCE_S: Final = 60.0


def scheme_of(name: str) -> str:
    """``S3://bucket`` → ``s3``; empty for a path."""
    match = _ADDRESS.fullmatch(name)
    return match[1].lower() if match else ""


def is_remote(name: str) -> bool:
    """Whether a name is an address of another place than this machine's folders."""
    return scheme_of(name) not in ("", *_LOCAL)


def local_path(name: str) -> Path | None:
    """The path that a name means, also ``file:///…``; None for one that is remote.

    Raises ``ConfigError`` for a ``file://`` address of another machine.
    """
    match = _ADDRESS.fullmatch(name)
    if not match:
        return Path(name)
    if match[1].lower() not in _LOCAL:
        return None
    host, slash, rest = match[2].partition("/")
    if host not in ("", "localhost") or not slash:
        raise ConfigError(
            "a file address names a whole path on this machine",
            value=name,
            remedy="write file:///folder/file, with three slashes",
        )
    return Path(url2pathname(slash + rest))


def last_part(url: str) -> str:
    """The name of a file or folder: ``https://host/a%20b.tar?key=1`` → ``a b.tar``."""
    scheme = scheme_of(url)
    if scheme in HTTP:
        url = re.split(r"[?#]", url, maxsplit=1)[0]
    name = url.partition("://")[2].rstrip("/").rpartition("/")[2]
    return unquote(name) if scheme in _PERCENT else name


def below(url: str, name: str) -> str:
    """The address of what lies in a folder under a name, which may have slashes."""
    if scheme_of(url) in _PERCENT:
        name = quote(name)
    # Of memory:// and file:/// the slashes are the root.
    return url + name if url.endswith("/") else f"{url}/{name}"


def shown(url: str) -> str:
    """An address for messages: without a password, and without the query that may sign it."""
    url = re.sub(r"(?<=://)[^/@]*:[^/@]*@", "", url)
    return re.sub(r"\?.*", "?…", url, flags=re.DOTALL) if scheme_of(url) in HTTP else url


def filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """The filesystem of an address, and what it calls the file.

    fsspec keeps one filesystem an account, so this is cheap, and may be called from any thread.
    Raises ``ConfigError`` where fsspec or its part for the scheme is missing, and whatever that
    part raises where it cannot be reached.
    """
    scheme = scheme_of(url)
    if "::" in url:
        raise ConfigError(
            "an address within an address (…::…) is not read",
            value=shown(url),
            remedy="give the plain address of the file",
        )
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ConfigError(
            f"{scheme}:// addresses need fsspec", value=shown(url), remedy=_EXTRA
        ) from error
    try:
        options = _http_options() if scheme in HTTP else {}
        found: tuple[AbstractFileSystem, str] = url_to_fs(_plain(url), **options)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        raise ConfigError(
            f"{scheme}:// addresses need a package that is not installed",
            value=shown(url),
            remedy=f"pip install {package}" if package else str(error),
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{scheme}:// addresses cannot be read ({error})",
            value=shown(url),
            remedy="check the spelling of the address",
        ) from error
    return found


def _plain(url: str) -> str:
    """As fsspec wants it: the scheme in small letters, and % as each filesystem means it."""
    local = local_path(url)
    if local:
        return f"file://{local.as_posix()}"
    scheme = scheme_of(url)
    rest = url[len(scheme) :]
    if scheme in HTTP:
        host, slash, path = rest.removeprefix("://").partition("/")
        rest = f"://{host}{slash}{quote(path, safe=_AS_IT_STANDS)}"
    return scheme + rest


def _http_options() -> dict[str, Any]:
    import aiohttp

    return {
        "client_kwargs": {
            "headers": {"Accept-Encoding": "identity", "User-Agent": "search_back"},
            "timeout": aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S
            ),
            "trust_env": True,  # HTTPS_PROXY, NO_PROXY
        },
        "encoded": True,  # or a signature in the query would be written anew
    }
