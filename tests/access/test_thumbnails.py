"""Pictures made smaller: their looks, their limits, and the cache of them."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from search_back.access import PictureAccess
from search_back.config import Limits
from search_back.errors import BadPicture, InvalidField, LimitExceeded
from tests.access.drawn import RED, WHITE, close, halves, opened
from tests.odd_pictures import encoded, turned


@pytest.mark.parametrize("side", [0, -1])
def test_a_side_is_positive(access: PictureAccess, side: int) -> None:
    with pytest.raises(InvalidField, match="at least 1") as caught:
        access.thumbnail("a.png", side)
    assert caught.value.field == "side"


def test_a_side_has_a_limit(access: PictureAccess) -> None:
    with pytest.raises(LimitExceeded, match="max_thumbnail_side is 1024"):
        access.thumbnail("a.png", 1025)


@pytest.mark.parametrize(("side", "size"), [(1, (1, 1)), (40, (40, 20)), (79, (79, 40))])
def test_a_thumbnail_keeps_its_shape(
    access: PictureAccess, side: int, size: tuple[int, int]
) -> None:
    for name in ("a.png", "sub/b.jpg"):
        data, mime = access.thumbnail(name, side)
        assert mime == "image/jpeg"
        assert opened(data).size == size


def test_a_thumbnail_is_never_enlarged(access: PictureAccess) -> None:
    assert opened(access.thumbnail("a.png", 1024)[0]).size == (80, 40)


def test_a_large_jpeg_is_decoded_small(
    access: PictureAccess, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves(2000, 1500).save(root / "large.jpg")
    decoded: list[tuple[int, int]] = []
    load = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda self, *a, **k: (decoded.append(self.size), load(self, *a, **k))[1],
    )
    assert opened(access.thumbnail("large.jpg", 224)[0]).size == (224, 168)
    # The thumbnail from the decoded pixels, and its placeholder from the thumbnail.
    assert decoded == [(500, 375), (224, 168)]


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(
    access: PictureAccess, root: Path, orientation: int, format_: str
) -> None:
    """All eight give the same upright picture: red on the left, a blue corner above it."""
    upright = halves(80, 40)
    upright.paste((0, 0, 255), (0, 0, 16, 16))
    stored = turned(upright, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "taken at home"
    (root / "turned").write_bytes(encoded(stored, format_, exif=exif))
    inline = access.inline_jpeg("turned")
    assert inline is not None
    for data in (access.thumbnail("turned", 80)[0], base64.b64decode(inline)):
        image = opened(data)
        assert image.size == (80, 40)
        assert close(image.getpixel((5, 5)), (0, 0, 255))
        assert close(image.getpixel((5, 35)), RED)
        assert close(image.getpixel((75, 5)), WHITE)
    assert b"taken at home" not in access.thumbnail("turned", 80)[0]


def test_broken_exif_hides_no_picture(access: PictureAccess, root: Path) -> None:
    broken = b"Exif\0\0II*\0\xff\xff\xff\xff\x12\x01garbage"
    (root / "exif.jpg").write_bytes(encoded(halves(), "JPEG", exif=broken))
    assert opened(access.thumbnail("exif.jpg", 64)[0]).size == (64, 32)
    assert access.inline_jpeg("exif.jpg")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "I", "F", "I;16"])
def test_every_mode_gives_a_jpeg(access: PictureAccess, root: Path, mode: str) -> None:
    if mode == "YCbCr" and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("older Pillows cannot read the TIFF they write in that mode")
    if mode == "I;16":
        image = Image.fromarray(np.full((40, 80), 32896, np.uint16))
    elif mode == "LAB":
        image = Image.new("LAB", (80, 40), (128, 0, 0))
    else:
        image = halves(mode=mode)
    (root / "mode").write_bytes(encoded(image, "PNG" if mode == "P" else "TIFF"))
    data, mime = access.thumbnail("mode", 64)
    assert mime == "image/jpeg"
    assert opened(data).mode in ("L", "RGB")
    if mode == "I;16":
        assert close(opened(data).getpixel((5, 5)), (128,))


def test_cmyk_jpegs_keep_their_colours(access: PictureAccess, root: Path) -> None:
    halves(mode="CMYK").save(root / "print.jpg", quality=95)
    inline = access.inline_jpeg("print.jpg")
    assert inline is not None
    for data in (access.thumbnail("print.jpg", 80)[0], base64.b64decode(inline)):
        assert opened(data).mode == "RGB"
        assert close(opened(data).getpixel((5, 20)), RED)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "key", "gif"])
def test_transparency_is_kept_in_a_thumbnail_and_white_inline(
    access: PictureAccess, root: Path, kind: str
) -> None:
    image = Image.new("RGBA", (80, 40), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 40, 40))
    options: dict[str, Any] = {}
    if kind == "LA":
        image = image.convert("LA")
    elif kind in ("palette", "gif"):
        image = image.convert("P")
        image.putpalette([*RED, 0, 0, 0] + [0] * 762)
        image.paste(0, (0, 0, 40, 40))
        image.paste(1, (40, 0, 80, 40))
        options["transparency"] = 1
    elif kind == "key":
        image = halves()
        options["transparency"] = WHITE
    (root / "clear").write_bytes(encoded(image, "GIF" if kind == "gif" else "PNG", **options))
    data, mime = access.thumbnail("clear", 64)
    assert mime == "image/webp"
    small = opened(data)
    assert small.mode == "RGBA"
    alpha = small.getchannel("A")
    assert (alpha.getpixel((5, 5)), alpha.getpixel((60, 5))) == (255, 0)
    inline = access.inline_jpeg("clear")
    assert inline is not None
    assert close(opened(base64.b64decode(inline)).convert("RGB").getpixel((75, 5)), WHITE)


def test_an_opaque_alpha_channel_costs_no_webp(access: PictureAccess, root: Path) -> None:
    halves(mode="RGBA").save(root / "opaque.png")
    assert access.thumbnail("opaque.png", 64)[1] == "image/jpeg"


def test_a_colour_profile_is_kept(access: PictureAccess, root: Path) -> None:
    halves().save(root / "p3.jpg", icc_profile=b"a profile")
    assert opened(access.thumbnail("p3.jpg", 32)[0]).info["icc_profile"] == b"a profile"


def test_inline_gives_a_jpeg_within_its_side(root: Path) -> None:
    access = PictureAccess([root], Limits(max_inline_side=20))
    for name in ("a.png", "sub/b.jpg"):
        inline = access.inline_jpeg(name)
        assert inline is not None
        image = opened(base64.b64decode(inline))
        assert (image.format, image.size) == ("JPEG", (20, 10))


def test_inline_sends_a_small_jpeg_as_it_is(access: PictureAccess, root: Path) -> None:
    inline = access.inline_jpeg("sub/b.jpg")
    assert inline is not None
    assert base64.b64decode(inline) == (root / "sub" / "b.jpg").read_bytes()


def test_inline_leaves_out_what_is_behind_a_jpeg(access: PictureAccess, root: Path) -> None:
    path = root / "sub" / "b.jpg"
    path.write_bytes(path.read_bytes() + b"secret" * 10_000 + b"\xff\xd9")
    inline = access.inline_jpeg("sub/b.jpg")
    assert inline is not None
    assert b"secret" not in base64.b64decode(inline)


def test_a_truncated_picture_is_unreadable(access: PictureAccess, root: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    for format_ in ("JPEG", "PNG", "WEBP"):
        whole = encoded(noise, format_)
        (root / "cut").write_bytes(whole[: len(whole) // 2])
        assert access.inline_jpeg("cut") is None
        with pytest.raises(BadPicture):
            access.thumbnail("cut", 32)


def test_a_thumbnail_is_kept_until_the_file_changes(
    access: PictureAccess, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = access.thumbnail("a.png", 32)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", lambda *_, **__: pytest.fail("made again"))
        assert access.thumbnail(str(root / "a.png"), 32) == first
    Image.new("RGB", (10, 20)).save(root / "a.png")
    assert opened(access.thumbnail("a.png", 32)[0]).size == (10, 20)


def test_the_cache_is_bounded_in_bytes(root: Path) -> None:
    one = len(PictureAccess([root], Limits()).thumbnail("a.png", 64)[0])
    access = PictureAccess([root], Limits(), cache_bytes=3 * one)
    for i in range(20):
        halves(80 + i, 40).save(root / f"{i}.png")
        access.thumbnail(f"{i}.png", 64)
        assert access._cache.size <= 3 * one
    assert access._cache.size == sum(len(data) for data, _ in access._cache._entries.values())
    assert 1 <= len(access._cache._entries) <= 4


def test_the_latest_used_thumbnail_stays(root: Path) -> None:
    one = len(PictureAccess([root], Limits()).thumbnail("a.png", 64)[0])
    access = PictureAccess([root], Limits(), cache_bytes=2 * one + one // 2)
    for i in range(6):
        halves(80, 40).save(root / f"{i}.png")
        access.thumbnail(f"{i}.png", 64)
        access.thumbnail("0.png", 64)
    assert {Path(key[0]).name for key in access._cache._entries} == {"0.png", "5.png"}


def test_threads_share_one_access(root: Path) -> None:
    access = PictureAccess([root], Limits(), cache_bytes=2000)
    sizes: list[tuple[int, int]] = []

    def work(side: int) -> None:
        sizes.extend(opened(access.thumbnail("a.png", side)[0]).size for _ in range(10))

    threads = [threading.Thread(target=work, args=[10 + 2 * i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(sizes)) == [(10, 5), (12, 6), (14, 7), (16, 8)]
    assert len(sizes) == 40


def test_heic_is_shown_as_a_thumbnail_only(access: PictureAccess, root: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    halves(160, 80).save(root / "c.heic", quality=95)
    data, mime = access.thumbnail("c.heic", 64)
    assert (mime, opened(data).size) == ("image/jpeg", (64, 32))
    assert close(opened(data).getpixel((10, 10)), RED)
    inline = access.inline_jpeg("c.heic")
    assert inline is not None
    assert opened(base64.b64decode(inline)).format == "JPEG"
    with pytest.raises(BadPicture, match="browsers do not show HEIF"):
        access.original("c.heic")


def test_a_placeholder_is_there_once_a_thumbnail_is(access: PictureAccess, root: Path) -> None:
    path = access.resolve("a.png")
    assert path is not None
    assert access.placeholder(path) is None
    access.thumbnail("a.png", 80)
    pixels = np.frombuffer(base64.b64decode(access.placeholder(path) or ""), np.uint8)
    assert pixels.reshape(4, 4, 3)[..., ::-1].tolist() == [[[*RED]] * 2 + [[*WHITE]] * 2] * 4

    Image.new("RGB", (10, 20)).save(root / "a.png")
    assert access.placeholder(path) is None
    path.unlink()
    assert access.placeholder(path) is None


def test_a_placeholder_is_of_the_middle_square(root: Path) -> None:
    access = PictureAccess([root], Limits())
    wide = Image.new("L", (64, 16), 255)
    wide.paste(0, (24, 0, 40, 16))
    wide.save(root / "wide.png")
    access.thumbnail("wide.png", 64)
    assert access.placeholder(root / "wide.png") == base64.b64encode(bytes(48)).decode()


def test_what_has_holes_has_no_placeholder(access: PictureAccess, root: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 40)).save(root / "clear.png")
    assert access.thumbnail("clear.png", 64)[1] == "image/webp"
    assert access.placeholder(root / "clear.png") is None
