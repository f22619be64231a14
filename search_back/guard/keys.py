"""API keys: a file of hashes, and who holds a key.

A key is ``sb_ID_SECRET``. The ID is no secret: it finds the entry and names the key in the list.
The SECRET is 256 random bits, of which only the SHA-256 is stored. A slow, salted hash is for
words that people think up: nobody can try 2**256 values, however fast each of them is, and a fast
hash costs a request a microsecond.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal, get_args

from filelock import FileLock

from search_back.config import Rate
from search_back.errors import ConfigError, CorruptFile, SearchBackError, Unauthorized
from search_back.files import publish, read_json

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_FORM: Final = re.compile(r"sb_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; ``expires``: None for never, ``rate``: None for no limit."""

    id: str
    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created: datetime
    expires: datetime | None = None
    rate: Rate | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "sha256": self.sha256,
            "scopes": list(self.scopes),
            "created": self.created.isoformat(timespec="seconds"),
            "expires": self.expires and self.expires.isoformat(timespec="seconds"),
            "rate": self.rate and str(self.rate),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Key:
        """Raises ``KeyError``, ``TypeError``, ``ValueError`` or ``ConfigError``."""
        texts = {name: value[name] for name in ("id", "name", "sha256")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError(f"id, name and sha256 should be texts: {texts}")
        if not re.fullmatch("[0-9a-f]{64}", texts["sha256"]):
            raise ValueError("a sha256 is 64 hexadecimal digits")
        expires, rate = value.get("expires"), value.get("rate")
        return cls(
            **texts,
            scopes=_scopes(value["scopes"]),
            created=_instant(value["created"]),
            expires=None if expires is None else _instant(expires),
            rate=None if rate is None else Rate.parse(rate),
        )


class KeyRing:
    """The keys that a server takes, as its file said when it was last read. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Mapping[str, Key] = {}
        self.reload()

    def reload(self) -> None:
        """Take what the file says now. Raises ``ConfigError``, and then nothing has changed."""
        self._keys = {key.id: key for key in read_keys(self._path)}

    def find(self, given: str, *, now: datetime | None = None) -> Key:
        """The key that was given; raises ``Unauthorized`` where it is unknown or has expired."""
        form = _FORM.fullmatch(given)
        key = self._keys.get(form[1]) if form else None
        if key is None or not hmac.compare_digest(_digest(given), key.sha256):
            raise Unauthorized(
                "that key is not known", remedy="get one from whoever runs the server"
            )
        if key.expires is not None and key.expires <= (now or datetime.now(timezone.utc)):
            raise Unauthorized("the key has expired", value=key.expires.isoformat())
        return key


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file, in its order; raises ``ConfigError``."""
    try:
        entries = read_json(path)["keys"]
        keys = tuple(Key.from_json(entry) for entry in entries)
    except OSError as error:
        raise ConfigError(
            "the keys file cannot be read",
            value=str(path),
            remedy=f"{error.strerror}; search-back keys add NAME makes one",
        ) from error
    except (CorruptFile, ConfigError, KeyError, TypeError, ValueError) as error:
        told = error.what if isinstance(error, SearchBackError) else repr(error)
        raise ConfigError(f"{path} is no file of keys", value=told, remedy="restore it") from error
    if len({key.id for key in keys}) != len(keys):
        raise ConfigError(f"two keys of {path} have one id", remedy="remove one of them")
    return keys


def add_key(
    path: Path,
    name: str,
    *,
    scopes: Iterable[str],
    rate: Rate | None = None,
    expires: datetime | None = None,
) -> str:
    """Make a key and note it in the file, which is made if need be: the key, told only now.

    Raises ``ConfigError``, also where a key of that name is there.
    """
    given = _scopes(list(scopes))
    if not re.fullmatch(r"[^\s\x00-\x1f]{1,64}", name):
        raise ConfigError("a key's name is 1 to 64 characters without spaces", value=name)
    with _alone(path):
        keys = read_keys(path) if path.exists() else ()
        if any(key.name == name for key in keys):
            raise ConfigError(
                "there is a key of that name", value=name, remedy="remove it, or choose another"
            )
        taken = {key.id for key in keys}
        id_ = next(i for i in iter(lambda: secrets.token_hex(4), None) if i not in taken)
        key = f"sb_{id_}_{secrets.token_urlsafe(32)}"
        created = datetime.now(timezone.utc)
        entry = Key(id_, name, _digest(key), given, created, expires=expires, rate=rate)
        _write(path, (*keys, entry))
    return key


def remove_key(path: Path, name: str) -> Key:
    """Take the key of that name, or id, out of the file; raises ``ConfigError``."""
    with _alone(path):
        keys = read_keys(path)
        found = [key for key in keys if name in (key.name, key.id)]
        if not found:
            there = ", ".join(key.name for key in keys) or "none"
            raise ConfigError("there is no key of that name", value=name, remedy=f"there: {there}")
        _write(path, tuple(key for key in keys if key is not found[0]))
    return found[0]


def _alone(path: Path) -> FileLock:
    """Two who change the file at once would lose one of the changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"), mode=0o600)


def _write(path: Path, keys: Iterable[Key]) -> None:
    text = json.dumps({"keys": [key.to_json() for key in keys]}, indent=2, ensure_ascii=False)
    with publish(path) as part:
        # Private from its first byte on, whatever the umask says.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _scopes(values: object) -> tuple[Scope, ...]:
    if not isinstance(values, list) or not values or not set(values) <= set(SCOPES):
        raise ConfigError(
            "a key has at least one scope", value=values, remedy=f"give any of {', '.join(SCOPES)}"
        )
    return tuple(scope for scope in SCOPES if scope in values)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} says no time zone")
    return instant
