"""The file of keys: what it holds, what it refuses, who may read it."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from search_back.cli import main
from search_back.config import Rate
from search_back.errors import ConfigError, Unauthorized
from search_back.guard import Key, KeyRing, add_key, read_keys, remove_key

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_finds_what_was_said_of_it(path: Path) -> None:
    end = NOW + timedelta(days=90)
    given = add_key(path, "phone", scopes=["admin", "read"], rate=Rate(10, 1), expires=end)
    other = add_key(path, "laptop", scopes=["write"])
    ring = KeyRing(path)
    found = ring.find(given, now=NOW)
    assert (found.name, found.scopes, found.rate, found.expires) == (
        *("phone", ("read", "admin")),
        *(Rate(10, 1), end),
    )
    assert ring.find(other).name == "laptop"
    assert [key.name for key in read_keys(path)] == ["phone", "laptop"]


def test_the_file_holds_no_key_and_is_its_owners(path: Path) -> None:
    given = add_key(path, "phone", scopes=["read"])
    secret = given.rpartition(f"sb_{read_keys(path)[0].id}_")[2]
    assert len(secret) == 43
    assert secret not in path.read_text()
    assert read_keys(path)[0].sha256 == hashlib.sha256(given.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    add_key(path, "laptop", scopes=["read"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key.upper(),
        lambda key: f"sb_{'0' * 8}_{key[12:]}",
        lambda key: "",
        lambda key: "sb_",
        lambda key: key + "é",
        lambda key: "\udcff" * 55,
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(
    path: Path, change: Callable[[str], str]
) -> None:
    given = add_key(path, "phone", scopes=["read"])
    with pytest.raises(Unauthorized) as refused:
        KeyRing(path).find(change(given))
    assert given[12:30] not in str(refused.value)


def test_a_key_ends(path: Path) -> None:
    given = add_key(path, "phone", scopes=["read"], expires=NOW)
    ring = KeyRing(path)
    assert ring.find(given, now=NOW - timedelta(seconds=1)).name == "phone"
    with pytest.raises(Unauthorized, match="expired"):
        ring.find(given, now=NOW)


def test_a_ring_takes_up_changes_when_told(path: Path) -> None:
    first = add_key(path, "first", scopes=["read"])
    ring = KeyRing(path)
    second = add_key(path, "second", scopes=["read"])
    remove_key(path, "first")
    assert ring.find(first).name == "first"
    ring.reload()
    assert ring.find(second).name == "second"
    with pytest.raises(Unauthorized):
        ring.find(first)
    path.write_text("{")
    with pytest.raises(ConfigError):
        ring.reload()
    assert ring.find(second).name == "second"


def test_many_who_add_at_once_lose_none(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: add_key(path, f"key{i}", scopes=["read"]), range(16)))
    assert {key.name for key in read_keys(path)} == {f"key{i}" for i in range(16)}


@pytest.mark.parametrize(
    ("name", "scopes"), [("a b", ["read"]), ("", ["read"]), ("a", []), ("a", ["root"])]
)
def test_what_cannot_be_a_key(path: Path, name: str, scopes: list[str]) -> None:
    with pytest.raises(ConfigError):
        add_key(path, name, scopes=scopes)
    assert not path.exists()


def test_names_are_taken_once_and_removed_by_name_or_id(path: Path) -> None:
    add_key(path, "a", scopes=["read"])
    with pytest.raises(ConfigError, match="there is a key of that name"):
        add_key(path, "a", scopes=["read"])
    add_key(path, "b", scopes=["read"])
    assert remove_key(path, read_keys(path)[1].id).name == "b"
    with pytest.raises(ConfigError, match=r"got: b.*there: a"):
        remove_key(path, "b")


ENTRY = Key("0" * 8, "a", "0" * 64, ("read",), NOW, NOW, Rate(600, 60)).to_json()


def test_an_entry_survives_json() -> None:
    assert Key.from_json(json.loads(json.dumps(ENTRY))).to_json() == ENTRY
    bare = replace(Key.from_json(ENTRY), expires=None, rate=None)
    assert Key.from_json(bare.to_json()) == bare


@pytest.mark.parametrize(
    "value",
    [
        *({}, {"keys": 3}, {"keys": [3]}, {"keys": [{}]}, {"keys": [ENTRY, ENTRY]}, []),
        *({"keys": [ENTRY | {"sha256": value}]} for value in ("", 5, None, "0" * 63, "G" * 64)),
        *({"keys": [ENTRY | {"scopes": value}]} for value in ("read", [], ["root"], [[]], None)),
        *({"keys": [ENTRY | {"expires": value}]} for value in ("soon", 5, "2030-01-01T00:00:00")),
        *({"keys": [ENTRY | {"rate": value}]} for value in ("0/s", "1/d", 5, "-1/s", "1.5/s")),
    ],
)
def test_a_file_of_something_else_is_named(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
    with pytest.raises(ConfigError, match=r"keys\.json"):
        read_keys(path)


def test_the_command_makes_lists_and_removes(path: Path) -> None:
    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["keys", *arguments, "--keys-file", str(path)])
        assert result.exit_code == status, result.output
        return result.stdout

    given = run("add", "phone", "--scopes", "read,admin", "--rate", "10/s", "--expires", "90d")
    key = KeyRing(path).find(given.strip())
    assert (key.scopes, key.rate) == (("read", "admin"), Rate(10, 1))
    assert key.expires is not None
    assert timedelta(days=89) < key.expires - key.created <= timedelta(days=90, seconds=1)
    assert f"phone  sb_{key.id}_…  read,admin  10/s  ends {key.expires:%Y-%m-%d}" in run("list")
    listed = run("list", "--json", "True")
    assert json.loads(listed)[0]["name"] == "phone"
    assert key.sha256 not in listed
    for wrong in (["--expires", "soon"], ["--rate", "often"], ["--scopes", "all"]):
        run("add", "other", *wrong, status=2)
    run("remove", "phone")
    assert run("list") == ""
    run("remove", "phone", status=2)
