"""``search-back keys``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import click

from search_back.cli.options import F, flag, option, rate, words
from search_back.cli.progress import say
from search_back.config import Rate
from search_back.guard import SCOPES, add_key, read_keys, remove_key

DEFAULT_FILE: Final = "keys.json"
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def keys_file() -> Callable[[F], F]:
    return option(
        "keys-file",
        type=click.Path(path_type=Path),
        default=DEFAULT_FILE,
        help="The file of keys, as `back --keys-file` takes it.",
    )


def _end(_: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """When something ends that lasts ``12h``, ``90d`` or ``52w`` from now."""
    if value is None:
        return None
    form = re.fullmatch("([1-9][0-9]{0,4})([hdw])", value)
    if form is None:
        raise click.BadParameter("write 12h, 90d or 52w", param=parameter)
    return datetime.now(timezone.utc) + timedelta(**{_UNITS[form[2]]: int(form[1])})


@click.group("keys", short_help="Make, list and remove the keys of a server.")
def command() -> None:
    """Make, list and remove the keys of a server.

    The file holds no key, only what tells that one is right. A server that runs takes up a change
    when it is told to reload, by SIGHUP or by POST /admin/reload.

    \b
    Examples:
      search-back keys add phone --scopes read --rate 10/s --expires 90d
      search-back back --index-folder index --keys-file keys.json
    """


@command.command("add")
@click.argument("name")
@option(
    "scopes",
    callback=words,
    default="read",
    help=f"What it is good for, of {', '.join(SCOPES)}: searching, changing indices, running the "
    "server.",
)
@option("rate", callback=rate, metavar="RATE", help="How often it may be used, such as 10/s.")
@option(
    "expires", callback=_end, metavar="TIME", help="When it ends: 12h, 90d, 52w. [default: never]"
)
@keys_file()
def add(
    name: str,
    scopes: tuple[str, ...],
    rate: Rate | None,
    expires: datetime | None,
    keys_file: Path,
) -> None:
    """Make a key. It is shown now and never again."""
    key = add_key(keys_file, name, scopes=scopes, rate=rate, expires=expires)
    say(f"{name} is in {keys_file}; this is its key, which cannot be shown again:")
    click.echo(key)


@command.command("list")
@keys_file()
@flag("json", default=False, help="As JSON.")
def list_(keys_file: Path, json: bool) -> None:
    """Show what is known of the keys."""
    keys = read_keys(keys_file)
    if json:
        click.echo(_to_json([key.to_json() for key in keys]))
        return
    now = datetime.now(timezone.utc)
    for key in keys:
        ends = "never ends"
        if key.expires is not None:
            verb = "ended" if key.expires <= now else "ends"
            ends = f"{verb} {key.expires:%Y-%m-%d %H:%M} UTC"
        often = str(key.rate) if key.rate else "no rate"
        click.echo(f"{key.name}  sb_{key.id}_…  {','.join(key.scopes)}  {often}  {ends}")


@command.command("remove")
@click.argument("name")
@keys_file()
def remove(name: str, keys_file: Path) -> None:
    """Remove a key by its name, or by the eight digits of its id."""
    key = remove_key(keys_file, name)
    say(f"{key.name} is removed; servers forget it when they reload")


def _to_json(entries: list[dict[str, object]]) -> str:
    shown = [{k: v for k, v in entry.items() if k != "sha256"} for entry in entries]
    return json.dumps(shown, indent=2, ensure_ascii=False)
