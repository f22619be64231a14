"""Pictures that come with a query, as base64."""

from __future__ import annotations

import base64

import pytest

from search_back.access import decode_base64_picture
from search_back.config import Limits
from search_back.errors import BadPicture, InvalidField, LimitExceeded
from tests.access.drawn import halves, png_header
from tests.odd_pictures import encoded


def test_base64_in_every_dress() -> None:
    data = encoded(halves(13, 7))
    plain = base64.b64encode(data).decode()
    dresses = [
        plain,
        plain.rstrip("="),
        f"data:image/png;base64,{plain}",
        f"DATA:image/png;name=a;BASE64,{plain}",
        f"data:;base64,{plain}",
        f" \n{plain[:40]}\r\n{plain[40:]}\t ",
        f"data:image/png;base64, {plain[:8]} {plain[8:]}",
        base64.urlsafe_b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
    ]
    for dress in dresses:
        assert decode_base64_picture(dress, Limits()) == data


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "=", "!!!!", "abcde", "été", "\ud800", "data:image/png,abcd", "data:image/png",
        "data:image/png;base64,", "x,abcd", "ab=cd", "http://example.org/a.png", "\0\0\0\0",
    ],
)  # fmt: skip
def test_what_is_not_base64_is_said_to_be_so(text: str) -> None:
    with pytest.raises(InvalidField, match="image is not base64") as caught:
        decode_base64_picture(text, Limits())
    assert caught.value.field == "image"


@pytest.mark.parametrize(
    "data", [b"just words", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_not_a_picture_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(BadPicture, match="image is not a picture"):
        decode_base64_picture(base64.b64encode(data).decode(), Limits())


def test_a_sent_picture_has_limits() -> None:
    data = encoded(halves())
    text = base64.b64encode(data).decode()
    assert decode_base64_picture(text, Limits(max_picture_bytes=len(data))) == data
    with pytest.raises(LimitExceeded, match="max_picture_bytes") as caught:
        decode_base64_picture(text, Limits(max_picture_bytes=len(data) - 1))
    assert caught.value.value == len(data)
    with pytest.raises(LimitExceeded, match="max_picture_pixels"):
        decode_base64_picture(text, Limits(max_picture_pixels=3199))
    bomb = base64.b64encode(png_header(10_000, 10_000)).decode()
    with pytest.raises(LimitExceeded, match="max_picture_pixels"):
        decode_base64_picture(bomb, Limits())
