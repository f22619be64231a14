"""Signed addresses of pictures."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from search_back.errors import Unauthorized
from search_back.guard import Links
from search_back.guard.links import STEP_S

NOW = 10 * STEP_S


def parts(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query.lstrip("?")).items()}


def test_an_address_is_good_for_its_item_and_its_time() -> None:
    links = Links(bytes(32))
    given = parts(links.query("a", 7, now=NOW))
    for late in (0, STEP_S, 2 * STEP_S - 1):
        links.check("a", 7, **given, now=NOW + late)
        Links(bytes(32)).check("a", 7, **given, now=NOW + late)
    with pytest.raises(Unauthorized, match="expired"):
        links.check("a", 7, **given, now=NOW + 2 * STEP_S)
    strangers = [("a", 8), ("b", 7), ("a\n7", 7)]
    for index, id_ in strangers:
        with pytest.raises(Unauthorized):
            links.check(index, id_, **given, now=NOW)
    with pytest.raises(Unauthorized):
        Links(b"another secret").check("a", 7, **given, now=NOW)


def test_it_stays_the_same_for_hours_and_lasts_one_step_at_least() -> None:
    links = Links(bytes(32))
    assert links.query("a", 7, now=NOW) == links.query("a", 7, now=NOW + STEP_S - 1)
    assert links.query("a", 7, now=NOW) != links.query("a", 7, now=NOW + STEP_S)
    until = int(parts(links.query("a", 7, now=NOW + STEP_S - 1))["until"])
    assert until - (NOW + STEP_S - 1) > STEP_S


@pytest.mark.parametrize("until", ["", "-1", "1e9", "٣", "9" * 13, "0x9", " 1", "null"])
@pytest.mark.parametrize("signature", ["", "0" * 32, "é", "\udcff"])
def test_nonsense_is_refused(until: str, signature: str) -> None:
    with pytest.raises(Unauthorized):
        Links(bytes(32)).check("a", 7, until=until, signature=signature, now=NOW)


def test_a_longer_time_needs_another_signature() -> None:
    links = Links(bytes(32))
    given = parts(links.query("a", 7, now=NOW))
    with pytest.raises(Unauthorized):
        links.check("a", 7, until=str(NOW * 100), signature=given["signature"], now=NOW)
