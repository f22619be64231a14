"""Preprocessing without torch against open_clip's own, pixel by pixel."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search_back.encoders.open_clip_import import open_clip as import_open_clip
from search_back.encoders.preprocess import Preprocessing
from search_back.errors import BadPicture, ConfigError, LimitExceeded

SIZES = [(640, 480), (480, 640), (224, 224), (100, 60), (301, 77), (1, 1)]


def picture(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    bands = len(Image.new(mode, (1, 1)).getbands())
    noise = rng.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return Image.fromarray(noise.squeeze(-1) if bands == 1 else noise, mode)


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def theirs(preprocessing: Preprocessing, image: Image.Image) -> np.ndarray[Any, Any]:
    import_open_clip()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform = image_transform_v2(
        PreprocessCfg(
            size=preprocessing.image_size,
            mean=preprocessing.mean,
            std=preprocessing.std,
            interpolation=preprocessing.interpolation,
            resize_mode=preprocessing.resize_mode,
            fill_color=preprocessing.fill_color,
        ),
        is_train=False,
    )
    return np.asarray(transform(image).numpy())


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_open_clips(size: tuple[int, int], mode: Any, interpolation: str) -> None:
    ours = Preprocessing((64, 64), mode, interpolation, fill_color=7)
    image = picture(size)
    np.testing.assert_array_equal(ours(encoded(image)), theirs(ours, image))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_targets_that_are_not_square(mode: Any) -> None:
    ours = Preprocessing((48, 80), mode)
    image = picture((200, 150))
    np.testing.assert_array_equal(ours(encoded(image)), theirs(ours, image))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)], ids=str)
def test_slivers_are_taken(size: tuple[int, int], mode: Any) -> None:
    pixels = Preprocessing((16, 16), mode)(encoded(picture(size)))
    assert pixels.shape == (3, 16, 16)
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_colours_are_converted_after_resizing(mode: str) -> None:
    ours = Preprocessing((32, 32))
    image = picture((90, 70), mode)
    data = encoded(image, "TIFF")
    np.testing.assert_array_equal(ours(data), theirs(ours, Image.open(io.BytesIO(data))))


def test_transparency_is_laid_over_white() -> None:
    ours = Preprocessing((8, 8), "squash")
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    white = Image.new("RGB", (20, 20), "white")
    np.testing.assert_array_equal(ours(encoded(clear)), ours(encoded(white)))
    palette = white.convert("P")
    np.testing.assert_allclose(ours(encoded(palette)), ours(encoded(white)))


def test_pictures_are_turned_upright() -> None:
    ours = Preprocessing((16, 16), "squash")
    upright = Image.new("RGB", (40, 40), "red")
    upright.paste("blue", (0, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = encoded(upright.rotate(180), "PNG", exif=exif)
    np.testing.assert_array_equal(ours(turned), ours(encoded(upright)))


def test_sixteen_bits_become_eight() -> None:
    deep = Image.fromarray(np.full((20, 20), 32768, dtype=np.uint16))
    pixels = Preprocessing((8, 8), mean=(0, 0, 0), std=(1, 1, 1))(encoded(deep))
    assert pixels == pytest.approx(0.5, abs=0.01)


def test_the_first_frame_of_an_animation_counts() -> None:
    ours = Preprocessing((8, 8), "squash")
    red, blue = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")
    moving = encoded(red, "GIF", save_all=True, append_images=[blue])
    np.testing.assert_allclose(ours(moving), ours(encoded(red)), atol=0.02)


def test_pixels_are_counted_before_they_are_decoded() -> None:
    with pytest.raises(LimitExceeded, match="max_picture_pixels"):
        Preprocessing()(encoded(Image.new("1", (10_000, 10_000))))


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(picture((50, 50)), "JPEG")[:400]])
def test_broken_pictures_are_told(data: bytes) -> None:
    with pytest.raises(BadPicture):
        Preprocessing()(data)


def test_a_description_survives_the_trip() -> None:
    ours = Preprocessing((64, 48), "longest", "bilinear", (0.1, 0.2, 0.3), (1, 2, 3), 255)
    assert Preprocessing.from_json(ours.to_json()) == ours
    with pytest.raises(ConfigError, match="resize_mode"):
        Preprocessing.from_json({"resize_mode": "stretch"})
