"""Options as this project and its predecessors spell them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar

import click

from search_back.config import Limits, PinnedFile, Rate

F = TypeVar("F", bound=Callable[..., Any])


def option(name: str, **kwargs: Any) -> Callable[[F], F]:
    """An option written with dashes or with underscores: ``--batch-size``, ``--batch_size``."""
    names = dict.fromkeys([f"--{name}", f"--{name.replace('-', '_')}"])
    kwargs.setdefault("show_default", kwargs.get("default") is not None)
    decorate: Callable[[F], F] = click.option(*names, name.replace("-", "_"), **kwargs)
    return decorate


def flag(name: str, *, default: bool | None, help: str) -> Callable[[F], F]:  # noqa: A002
    """A switch: ``--enable-hdf5``, ``--enable_hdf5 True``, ``--enable-hdf5=False``."""
    return option(
        name, is_flag=False, flag_value=True, type=bool, default=default, help=help, metavar="BOOL"
    )


def pinned_file(_: click.Context, __: click.Parameter, value: str | None) -> PinnedFile | None:
    """``FILE`` or ``FILE#sha256=…``."""
    return None if value is None else PinnedFile.parse(value, Path())


def switch_or_file(
    context: click.Context, parameter: click.Parameter, value: str
) -> bool | PinnedFile:
    """What a switch takes, or else a file."""
    with suppress(click.BadParameter):
        return bool(click.BOOL.convert(value, parameter, context))
    return PinnedFile.parse(value, Path())


def rate(_: click.Context, __: click.Parameter, value: str | None) -> Rate | None:
    """``20/s``, ``600/m`` or ``5000/h``."""
    return None if value is None else Rate.parse(value)


def networks(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses such as ``10.0.0.5`` and networks such as ``10.0.0.0/8``."""
    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from error


def words(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """A list given as ``a,b``, ``["a", "b"]`` or ``[a,b]``."""
    if value is None:
        return None
    parts = value.strip().strip("[]()").split(",")
    return tuple(p for part in parts if (p := part.strip().strip("\"'")))


_COMMA = re.compile(r",(?![^{}]*\})")


def lists(
    _: click.Context, __: click.Parameter, values: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Names given one by one, or as ``["a", "b"]`` or ``[a,b]``; commas in braces stay."""
    if values is None:
        return None
    names: list[str] = []
    for value in values:
        text = value.strip()
        if not (text.startswith("[") and text.endswith("]")) or Path(value).exists():
            names.append(value)
            continue
        parts = (part.strip().strip("\"'") for part in _COMMA.split(text[1:-1]))
        names += [part for part in parts if part]
    return tuple(names)


_LIMIT_HELP = {
    "max_body_bytes": "Bytes of a request's body.",
    "max_picture_bytes": "Bytes of a picture, sent or fetched.",
    "max_picture_pixels": "Pixels of a picture.",
    "max_text_characters": "Characters of a text query.",
    "max_results": "Results of one query.",
    "max_metadata_ids": "Ids of one call to /metadata.",
    "max_map_points": "Points of one map.",
    "max_inline_pictures": "Pictures inlined as base64 in one answer.",
    "max_inline_side": "Pixels of the longer side of an inlined picture.",
    "max_thumbnail_side": "Pixels of the longer side of a thumbnail.",
    "max_url_bytes": "Bytes of an address to fetch.",
    "fetch_timeout_s": "Seconds for fetching an address, from end to end.",
    "max_redirects": "Redirects to follow while fetching.",
    "max_downloads": "Addresses fetched at a time.",
    "max_query_terms": "Terms of one query.",
    "max_query_addresses": "Addresses among the terms of one query.",
    "allow_private_addresses": "Fetch from private addresses too: only on a trusted network.",
}


def limits(command: F) -> F:
    """One option for every field of ``Limits``."""
    for field in reversed(fields(Limits)):
        name = field.name.replace("_", "-")
        if isinstance(field.default, bool):
            command = flag(name, default=field.default, help=_LIMIT_HELP[field.name])(command)
        else:
            command = option(
                name,
                type=click.FloatRange(min=0, min_open=True)
                if isinstance(field.default, float)
                else click.IntRange(min=0),
                default=field.default,
                help=_LIMIT_HELP[field.name],
            )(command)
    return command


def take_limits(values: dict[str, Any]) -> Limits:
    """The limits among a command's values, which are taken out of them."""
    return Limits(**{field.name: values.pop(field.name) for field in fields(Limits)})
