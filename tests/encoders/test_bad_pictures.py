"""Whatever is sent as a picture is read, or refused in words; its neighbours never pay."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from search_back.encoders import load_encoder
from search_back.encoders.base import BaseEncoder
from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.resize import ResizeMode
from search_back.errors import BadPicture, LimitExceeded
from search_back.pictures import JpegDraft, open_picture
from tests.odd_pictures import (
    SIZE,
    animation,
    declaring,
    encoded,
    exif,
    noise,
    premultiplied,
    readable,
    turned,
    unreadable,
)

MODES = get_args(ResizeMode)
READABLE, UNREADABLE, DECLARING = readable(), unreadable(), declaring(10_000, 10_000)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def encoder() -> BaseEncoder:
    found = load_encoder("emoji", threads=1)
    assert isinstance(found, BaseEncoder)
    return found


def levels(data: bytes, mode: ResizeMode = "squash", **options: Any) -> np.ndarray[Any, Any]:
    """``(height, width, 3)``, 0 … 255, of a picture that keeps its ``SIZE``."""
    plain = Preprocessing((SIZE[1], SIZE[0]), mode, mean=(0, 0, 0), std=(1 / 255,) * 3)
    return plain(data, **options).transpose(1, 2, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", READABLE)
def test_the_unusual_is_read(name: str, mode: ResizeMode) -> None:
    pixels = Preprocessing((16, 12), mode)(READABLE[name])
    assert pixels.shape == (3, 16, 12)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", UNREADABLE)
def test_the_broken_is_refused(name: str, mode: ResizeMode) -> None:
    with pytest.raises(BadPicture) as caught:
        Preprocessing((16, 12), mode)(UNREADABLE[name])
    assert caught.value.remedy


@pytest.mark.parametrize("draft", get_args(JpegDraft))
@pytest.mark.parametrize("name", DECLARING)
def test_too_many_pixels_are_refused(name: str, draft: JpegDraft) -> None:
    with pytest.raises(LimitExceeded, match="max_picture_pixels") as caught:
        Preprocessing()(DECLARING[name], draft=draft)
    assert caught.value.value == 100_000_000


def test_pillows_own_limit_is_told_as_it_is() -> None:
    with pytest.raises(LimitExceeded) as caught:
        open_picture(declaring(20_000, 20_000)["PNG"], max_pixels=10**9)
    assert caught.value.value == 400_000_000
    assert caught.value.maximum == 2 * (Image.MAX_IMAGE_PIXELS or 0)


def test_an_encoder_reads_the_unusual(encoder: BaseEncoder) -> None:
    vectors = encoder.encode_images(list(READABLE.values()))
    assert vectors.shape == (len(READABLE), encoder.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_bad_picture_harms_no_other(encoder: BaseEncoder) -> None:
    good, bad = encoded(noise()), [*UNREADABLE.values(), *DECLARING.values()]
    mixed = [data for pair in zip(bad, [good] * len(bad), strict=True) for data in pair]
    found = encoder.preprocess_all(mixed)
    alone = encoder.preprocess(good)
    for i, result in enumerate(found):
        if i % 2:
            assert isinstance(result, np.ndarray)
            np.testing.assert_array_equal(result, alone)
        else:
            assert isinstance(result, BadPicture | LimitExceeded)


def test_the_bad_picture_is_named(encoder: BaseEncoder) -> None:
    good = encoded(noise())
    with pytest.raises(BadPicture, match="picture 71 of 100: the bytes are not a picture"):
        encoder.encode_images([good] * 70 + [b"bad"] + [good] * 28 + [b"worse"])
    with pytest.raises(LimitExceeded, match="picture 2 of 2: max_picture_pixels"):
        encoder.encode_images([good, DECLARING["PNG"]])
    with pytest.raises(BadPicture, match=r"^the bytes are not a picture"):
        encoder.encode_images([b"bad"])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    half = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    half.paste((0, 0, 0, 255), (0, 0, SIZE[0] // 2, SIZE[1]))
    got = levels(encoded(half.convert(mode)))
    assert got[:, : SIZE[0] // 2] == pytest.approx(0)
    assert got[:, SIZE[0] // 2 :] == pytest.approx(255)


def test_a_palette_keeps_its_colours_and_its_hole() -> None:
    picture = Image.new("P", SIZE, 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(1, (0, 0, SIZE[0] // 2, SIZE[1]))
    got = levels(encoded(picture))
    np.testing.assert_allclose(got[0, [0, -1]], [[0, 255, 0], [255, 0, 0]])
    got = levels(encoded(picture, transparency=0))
    np.testing.assert_allclose(got[0, [0, -1]], [[0, 255, 0], [255, 255, 255]])


def test_premultiplied_colours_are_divided_again() -> None:
    data = premultiplied(Image.new("RGBA", SIZE, (100, 50, 0, 128)))
    assert levels(data)[0, 0] == pytest.approx([100 + 127, 50 + 127, 127], abs=2)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_has_the_colours_that_were_meant(format_: str) -> None:
    orange = Image.new("RGB", SIZE, (250, 120, 30))
    assert levels(encoded(orange.convert("CMYK"), format_))[0, 0] == pytest.approx(
        [250, 120, 30], abs=8
    )


@pytest.mark.parametrize("kind", ["16 bit grey", "16 bit TIFF", "32 bit TIFF", "float TIFF"])
def test_a_greater_range_is_scaled_and_not_clipped(kind: str) -> None:
    ramp = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0])
    got = levels(READABLE[kind])[..., 0]
    assert got[1:] == pytest.approx(ramp[1:], abs=1.01)
    if kind == "float TIFF":
        # Not a number, infinite, minus infinite.
        assert got[0, :3] == pytest.approx([0, 255, 0])


@pytest.mark.parametrize(
    ("format_", "options"),
    [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("MPO", {}), ("TIFF", {})],
)
def test_the_first_frame_counts(format_: str, options: dict[str, Any]) -> None:
    assert levels(animation(format_, **options))[0, 0] == pytest.approx([255, 0, 0], abs=2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "AVIF", "JPEG"])
def test_pictures_are_turned_upright(format_: str, orientation: int, mode: ResizeMode) -> None:
    picture = Image.new("RGB", (64, 32), "white")
    picture.paste("red", (0, 0, 32, 16))
    picture.paste("blue", (32, 16, 64, 32))
    options: dict[str, Any] = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
        "JPEG": {"quality": 95, "subsampling": 0},
    }.get(format_, {})
    data = encoded(turned(picture, orientation), format_, exif=exif(orientation), **options)
    expected = levels(encoded(picture), mode)
    got = levels(data, mode)
    if format_ in ("PNG", "WEBP", "TIFF"):
        np.testing.assert_array_equal(got, expected)
    else:
        assert np.abs(got - expected).mean() < 2


def test_colour_profiles_change_nothing() -> None:
    plain = encoded(noise(), "JPEG")
    for name in ("JPEG with a profile", "JPEG with a broken profile"):
        np.testing.assert_array_equal(levels(READABLE[name]), levels(plain))


MEASURED = """
import resource, sys
sys.path.insert(0, ".")
from search_back.encoders.preprocess import Preprocessing
from search_back.errors import LimitExceeded
from tests.odd_pictures import declaring, encoded, png
from PIL import Image
import zlib
refused = list(declaring(10_000, 10_000).values())
slivers = [
    encoded(Image.new("RGB", size)) for size in ((1, 10_000), (10_000, 1), (3, 60_000), (60_000, 3))
]
slivers += [png((1, 300_000), 1, 0, bytes(600_000)), png((300_000, 1), 1, 0, bytes(37_501))]
Preprocessing()(encoded(Image.new("RGB", (500, 500)), "JPEG"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for data in refused:
    try:
        Preprocessing()(data)
    except LimitExceeded:
        continue
    sys.exit("not refused")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
for mode in ("shortest", "longest", "squash"):
    for data in slivers:
        Preprocessing(resize_mode=mode)(data)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in KiB on Linux")
def test_memory_does_not_follow_what_a_header_claims() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    refused, slivers = map(int, done.stdout.split())
    assert refused < 20, "MiB to refuse 100 megapixels"
    assert slivers < 300, "MiB to resize slivers, some of which would be 2 GiB in full"


SEEDS = [
    encoded(noise(mode=mode), format_)
    for format_, mode in (
        *(("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA")),
        *(("WEBP", "RGB"), ("WEBP", "RGBA"), ("GIF", "L"), ("TIFF", "RGB"), ("TIFF", "LA")),
        *(("BMP", "RGB"), ("AVIF", "RGB"), ("PPM", "RGB"), ("PPM", "L")),
    )
]
SEEDS += [READABLE[name] for name in READABLE if len(READABLE[name]) < 2000]
SEEDS += [encoded(noise(), form, exif=exif(6)) for form in ("JPEG", "PNG", "WEBP", "TIFF")]
try:
    from pillow_heif import from_pillow
except ImportError:
    pass
else:
    for seed in (noise(), noise(mode="RGBA")):
        file = io.BytesIO()
        from_pillow(seed).save(file)
        SEEDS.append(file.getvalue())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with bytes changed, cut out, put in, or missing at its end."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 1, 1, 1, 2, 4, 30]))
        data[at : at + length] = draw(st.binary(max_size=4))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400)
@given(data=damaged(), mode=st.sampled_from(MODES), draft=st.sampled_from(get_args(JpegDraft)))
def test_damage_is_read_or_refused(data: bytes, mode: ResizeMode, draft: JpegDraft) -> None:
    try:
        pixels = Preprocessing((8, 12), mode)(data, max_pixels=250_000, draft=draft)
    except (BadPicture, LimitExceeded):
        return
    assert pixels.shape == (3, 8, 12)
    assert np.isfinite(pixels).all()
