"""Opening pictures: headers, orientation, the formats of an optional part."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search_back import pictures
from search_back.errors import BadPicture, LimitExceeded
from search_back.pictures import (
    FORMATS,
    flatten,
    open_header,
    open_picture,
    orientation,
    turned,
    turned_box,
)
from tests.odd_pictures import claimed_heic, encoded, exif, noise


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    pictures._register_heif.cache_clear()
    yield
    pictures._register_heif.cache_clear()


def heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return encoded(image, "HEIF", **options)


def corners() -> Image.Image:
    picture = Image.new("RGB", (128, 64), "white")
    picture.paste("red", (0, 0, 64, 32))
    picture.paste("blue", (64, 32, 128, 64))
    return picture


@pytest.mark.parametrize("how", range(1, 9))
def test_a_box_turns_with_its_picture(how: int) -> None:
    image = Image.new("L", (13, 7))
    image.paste(255, (2, 1, 6, 3))
    upright = turned(image, how)
    box = turned_box((2, 1, 6, 3), image.size, how)
    assert upright.getbbox() == box
    assert upright.getextrema() == (0, 255)


@pytest.mark.parametrize("value", [0, 9, 77, "6", (1, 2)])
def test_an_unknown_orientation_is_upright(value: Any) -> None:
    image = noise()
    image.getexif()[0x0112] = value
    assert orientation(image) == (6 if value == "6" else 1)


def test_formats_that_are_not_listed_are_not_opened() -> None:
    for format_ in ("ICO", "TGA", "PCX", "JPEG2000"):
        assert format_ not in FORMATS
        with pytest.raises(BadPicture, match="not a picture"):
            open_picture(encoded(noise(), format_))


def test_a_file_on_disk_is_read_from_its_start(tmp_path: Any) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(noise()))
    with open(path, "rb") as file:
        file.read(5)
        assert open_header(file).size == noise().size


def test_opaque_pictures_keep_their_pixels() -> None:
    image = noise()
    assert flatten(image.convert("RGBA")).tobytes() == image.tobytes()
    grey = noise(mode="L")
    assert flatten(grey.convert("LA")).tobytes() == grey.convert("RGB").tobytes()
    premultiplied = noise(mode="LA").convert("La")
    assert flatten(premultiplied).mode == "RGB"


def test_without_the_optional_part_heic_is_answered_with_the_remedy(without_heic: None) -> None:
    data = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100)
    with pytest.raises(BadPicture, match=r"pip install 'search_back\[heic\]'"):
        open_header(io.BytesIO(data))
    with pytest.raises(BadPicture, match="send one of JPEG") as caught:
        open_header(io.BytesIO(b"bad"))
    assert "HEIF" not in caught.value.remedy


def test_avif_needs_no_optional_part_whatever_brand_leads(without_heic: None) -> None:
    data = encoded(noise(), "AVIF").replace(b"ftypavif", b"ftypmif1", 1)
    assert open_picture(data).size == noise().size


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_is_read(brand: bytes) -> None:
    data = heic(corners(), quality=95).replace(b"ftypheic", b"ftyp" + brand, 1)
    image = open_picture(data)
    assert (image.format, image.size, image.mode) == ("HEIF", (128, 64), "RGB")
    difference = np.asarray(image, np.int16) - np.asarray(corners(), np.int16)
    assert np.abs(difference).mean() < 3


def test_heic_with_transparency_keeps_it() -> None:
    image = open_picture(heic(Image.new("RGBA", (64, 64), (255, 0, 0, 0))))
    assert flatten(image).getpixel((9, 9)) == pytest.approx((255, 255, 255), abs=3)


@pytest.mark.parametrize("how", range(1, 9))
def test_heic_is_turned_once(how: int) -> None:
    """The container says how to turn, which the decoder does; EXIF repeats it for people."""
    back = {6: 8, 8: 6}.get(how, how)
    data = heic(turned(corners(), back), exif=exif(how).tobytes(), quality=95)
    assert (b"irot" in data or b"imir" in data) == (how != 1)
    image = open_picture(data)
    assert image.size == (128, 64)
    assert [image.getpixel(at) for at in ((9, 9), (120, 9), (120, 60))] == [
        pytest.approx(colour, abs=8) for colour in ((255, 0, 0), (255, 255, 255), (0, 0, 255))
    ]


def test_heic_pixels_are_counted_before_they_are_decoded() -> None:
    data = claimed_heic(heic(noise((64, 64))), 10_000, 10_000)
    with pytest.raises(LimitExceeded, match="max_picture_pixels") as caught:
        open_picture(data)
    assert caught.value.value == 100_000_000


@pytest.mark.parametrize("length", [12, 40, 200, -30])
def test_a_part_of_a_heic_is_refused(length: int) -> None:
    with pytest.raises(BadPicture):
        open_picture(heic(corners())[:length])
