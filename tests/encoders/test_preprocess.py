"""Preprocessing without torch against open_clip's own, pixel by pixel."""

from __future__ import annotations

import io
import threading
from typing import Any, cast, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from search_back.encoders.preprocess import Preprocessing, preprocess_all
from search_back.encoders.resize import FILTERS, ResizeMode, fit, resize, resize_box
from search_back.encoders.sources.open_clip_import import open_clip as import_open_clip
from search_back.errors import BadPicture, ConfigError
from search_back.pictures import JpegDraft, scale_jpeg
from tests.odd_pictures import encoded, exif, noise

MODES = get_args(ResizeMode)
SIZES = [(640, 480), (480, 640), (224, 224), (100, 60), (301, 77), (77, 301), (40, 900), (1, 1)]


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
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_open_clips(size: tuple[int, int], mode: Any, interpolation: str) -> None:
    ours = Preprocessing((64, 64), mode, interpolation, fill_color=7)
    image = noise(size)
    np.testing.assert_array_equal(ours(encoded(image)), theirs(ours, image))


@pytest.mark.parametrize("mode", MODES)
def test_targets_that_are_not_square(mode: Any) -> None:
    ours = Preprocessing((48, 80), mode)
    image = noise((200, 150))
    np.testing.assert_array_equal(ours(encoded(image)), theirs(ours, image))


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr", "LAB", "1"])
@pytest.mark.parametrize("size", [(90, 70), (70, 90)], ids=str)
def test_colours_are_converted_after_resizing(size: tuple[int, int], mode: str) -> None:
    ours = Preprocessing((32, 32))
    image = noise(size).convert("1") if mode == "1" else noise(size, mode)
    np.testing.assert_array_equal(ours.pixels(image), theirs(ours, image))


def smooth(size: tuple[int, int]) -> Image.Image:
    return noise((9, 7)).resize(size, Image.Resampling.BICUBIC)


@given(
    width=st.integers(1, 150),
    height=st.integers(1, 150),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    square=st.booleans(),
    mode=st.sampled_from(MODES),
    method=st.sampled_from(list(FILTERS.values())),
)
def test_leaving_out_what_is_cut_off_changes_little(
    width: int, height: int, target: tuple[int, int], square: bool, mode: Any, method: Any
) -> None:
    image = smooth((width, height))
    to = fit(image.size, (target[0], target[0]) if square else target, mode)
    whole = np.asarray(resize(image, to, method), np.int16)
    part = np.asarray(resize_box(image, to, method, (0, 0, width, height)), np.int16)
    assert part.shape == whole.shape
    assert np.abs(part - whole).max(initial=0) <= 3
    assert np.abs(part - whole).mean() < 0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("colours", ["RGB", "1"])
@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (3, 2500), (2500, 3)], ids=str)
def test_slivers_past_the_limit_differ_little(
    size: tuple[int, int], colours: str, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Preprocessing((16, 16), mode, mean=(0, 0, 0), std=(1 / 255,) * 3)
    data = encoded(smooth(size).convert(colours))
    whole = ours(data)
    monkeypatch.setattr("search_back.encoders.resize._MOST_PIXELS", 20_000)
    difference = np.abs(ours(data) - whole)
    if colours == "1":
        assert (difference > 0).mean() < 0.02  # nearest neighbours: black or white
    else:
        assert difference.max() < 3.01


def test_the_longest_edge_leaves_at_least_a_pixel_of_the_other() -> None:
    assert fit((1, 10_000), (16, 16), "longest").size == (1, 16)
    assert fit((10_000, 1), (16, 16), "longest").size == (16, 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(520, 400), (517, 395), (395, 517)], ids=str)
def test_a_draft_differs_by_a_fraction_of_a_level(
    size: tuple[int, int], orientation: int, mode: Any
) -> None:
    ours = Preprocessing((64, 64), mode, mean=(0, 0, 0), std=(1 / 255,) * 3)
    data = encoded(smooth(size), "JPEG", quality=95, exif=exif(orientation))
    exact = ours(data)
    differences = [np.abs(ours(data, draft=draft) - exact).mean() for draft in ("close", "fast")]
    assert 0 < max(differences) < 0.6


def test_a_draft_keeps_at_least_the_size_that_is_wanted() -> None:
    data = encoded(noise((800, 600)), "JPEG")
    for least, draft, size in (
        ((300, 225), "fast", (400, 300)),
        ((300, 225), "close", (800, 600)),
        ((200, 150), "close", (400, 300)),
        ((200, 150), "fast", (200, 150)),
        ((200, 151), "fast", (400, 300)),
        ((10, 10), "fast", (100, 75)),
        ((900, 10), "fast", (800, 600)),
        ((10, 10), "off", (800, 600)),
    ):
        image = Image.open(io.BytesIO(data))
        box = scale_jpeg(image, least, cast("JpegDraft", draft))
        image.load()
        assert image.size == size
        assert box == (0, 0, *size)


@pytest.mark.parametrize("colours", ["L", "CMYK"])
def test_a_draft_keeps_the_colours_of_the_file(colours: str) -> None:
    ours = Preprocessing((32, 32), mean=(0, 0, 0), std=(1 / 255,) * 3)
    data = encoded(smooth((400, 400)).convert(colours), "JPEG", quality=95)
    assert np.abs(ours(data, draft="fast") - ours(data)).mean() < 1


def test_a_draft_is_for_large_jpegs_alone_and_no_part_of_the_identity() -> None:
    ours = Preprocessing((64, 64))
    for data in (encoded(noise((600, 400)), "WEBP"), encoded(noise((100, 90)), "JPEG")):
        np.testing.assert_array_equal(ours(data, draft="fast"), ours(data))
    assert not any("draft" in key for key in ours.to_json())


def test_pictures_are_decoded_side_by_side_in_order() -> None:
    both = threading.Barrier(2, timeout=60)

    def slow(picture: bytes) -> Any:
        both.wait()
        if picture == b"bad":
            raise BadPicture("bad")
        return picture

    found = preprocess_all(slow, [b"a", b"bad", b"c", b"d"], workers=2)
    assert [str(f) if isinstance(f, BadPicture) else f for f in found] == [b"a", "bad", b"c", b"d"]
    assert preprocess_all(slow, []) == []


def test_one_picture_needs_no_thread() -> None:
    threads = preprocess_all(lambda _: cast("Any", threading.current_thread()), [b"a"])
    assert threads == [threading.current_thread()]


def test_a_description_survives_the_trip() -> None:
    ours = Preprocessing((64, 48), "longest", "bilinear", (0.1, 0.2, 0.3), (1, 2, 3), 255)
    assert Preprocessing.from_json(ours.to_json()) == ours
    with pytest.raises(ConfigError, match="resize_mode"):
        Preprocessing.from_json({"resize_mode": "stretch"})
