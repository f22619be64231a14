"""Access: only pictures, only under the roots, and never at more than a picture's cost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import features

from search_back.access import PictureAccess
from search_back.config import Limits
from search_back.errors import BadPicture, LimitExceeded
from tests.access.drawn import halves, opened, png_header
from tests.odd_pictures import encoded


def test_paths_are_absolute_or_relative_to_a_root(access: PictureAccess, root: Path) -> None:
    assert access.resolve(str(root / "a.png")) == root / "a.png"
    assert access.resolve("a.png") == root / "a.png"
    assert access.resolve("sub/../sub/b.jpg") == root / "sub" / "b.jpg"
    assert access.resolve("../pictures/a.png") == root / "a.png"


def test_every_root_is_looked_in(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    halves().save(other / "c.png")
    access = PictureAccess([root, other, tmp_path / "missing"], Limits())
    assert access.resolve("a.png") == root / "a.png"
    assert access.resolve("c.png") == other / "c.png"
    assert access.resolve("outside.png") is None


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "..", "/", "~", "sub", "missing.png", "../outside.png", "sub/../../outside.png",
        "..\\outside.png", "%2e%2e/outside.png",
        "a.png/", "a.png/.", "a.png\0", "\0", "a.png\0.jpg",
        "\ud800", "\udcff", "/proc/self/environ", "/etc/passwd", "/dev/zero", "/dev/stdin",
        "file:///etc/passwd", "x" * 10_000, "a/" * 3000, "....//outside.png", "\n", "*",
        "//etc/passwd",
    ],
)  # fmt: skip
def test_nothing_else_is_found(access: PictureAccess, path: str) -> None:
    if path in ("a.png/", "a.png/."):
        assert access.resolve(path) in (None, access.resolve("a.png"))
        return
    assert access.resolve(path) is None
    assert access.inline_jpeg(path) is None
    for ask in (access.original, lambda path: access.thumbnail(path, 64)):
        with pytest.raises(BadPicture, match="no such picture"):
            ask(path)


def test_outside_and_missing_read_the_same(access: PictureAccess, tmp_path: Path) -> None:
    for name in ("outside.png", "missing.png"):
        with pytest.raises(BadPicture) as caught:
            access.original(str(tmp_path / name))
        assert caught.value.what == "there is no such picture in the folders this server shows"


def test_a_sibling_whose_name_begins_like_the_root_is_outside(
    access: PictureAccess, tmp_path: Path
) -> None:
    (tmp_path / "pictures-private").mkdir()
    halves().save(tmp_path / "pictures-private" / "p.png")
    assert access.resolve(str(tmp_path / "pictures-private" / "p.png")) is None
    assert access.resolve("../pictures-private/p.png") is None


def test_links_count_as_what_they_lead_to(
    access: PictureAccess, root: Path, tmp_path: Path
) -> None:
    (root / "in.png").symlink_to(root / "sub" / "b.jpg")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "broken.png").symlink_to(root / "gone.png")
    (tmp_path / "entry.png").symlink_to(root / "a.png")
    assert access.resolve("in.png") == root / "sub" / "b.jpg"
    assert access.resolve(str(tmp_path / "entry.png")) == root / "a.png"
    for name in ("out.png", "folder/outside.png", "loop.png", "broken.png"):
        assert access.resolve(name) is None


def test_a_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    access = PictureAccess([tmp_path / "link"], Limits())
    assert access.resolve(str(tmp_path / "link" / "a.png")) == root / "a.png"


def test_without_roots_nothing_is_shown(root: Path) -> None:
    assert PictureAccess([], Limits()).resolve(str(root / "a.png")) is None


@pytest.mark.timeout(10)
def test_a_fifo_is_not_waited_for(access: PictureAccess, root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    assert access.resolve("pipe.png") is None
    assert access.inline_jpeg("pipe.png") is None


def test_names_in_any_script(access: PictureAccess, root: Path) -> None:
    for name in ("été 🐈.png", "日本語.png", "a\nb.png", "'\"&<>.png", "e\u0301.png"):
        halves().save(root / name)
        assert access.resolve(name) == root / name
        assert access.original(name)[1] == "image/png"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"just words", b"<html><script>alert(1)</script>", b"<svg xmlns='x'/>",
        b"\xff\xd8\xff",
        b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM",
        b"II*\0", b"\0\0\0\x20ftypavif", b"RIFF\0\0\0\0WEBP", b"GIF89a<script>alert(1)</script>",
    ],
)  # fmt: skip
def test_a_name_makes_no_picture(access: PictureAccess, root: Path, content: bytes) -> None:
    for name in ("x.jpg", "x.png", "x.svg"):
        (root / name).write_bytes(content)
        assert access.inline_jpeg(name) is None
        with pytest.raises(BadPicture):
            access.thumbnail(name, 64)
        if access.resolve(name) is not None:  # a header that says enough is served as that type
            assert access.original(name)[1].startswith("image/")


@pytest.mark.parametrize(
    ("format_", "mime"),
    [
        ("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("GIF", "image/gif"),
        ("BMP", "image/bmp"), ("AVIF", "image/avif"), ("TIFF", None),
    ],
)  # fmt: skip
def test_the_type_is_that_of_the_content(
    access: PictureAccess, root: Path, format_: str, mime: str | None
) -> None:
    if format_ == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    path = root / "picture.html"
    path.write_bytes(encoded(halves(), format_))
    if mime is None:
        with pytest.raises(BadPicture, match=f"browsers do not show {format_}"):
            access.original(str(path))
    else:
        assert access.original(str(path)) == (path, mime)
    assert opened(access.thumbnail(str(path), 64)[0]).size == (64, 32)


@pytest.mark.parametrize("size", [(10_000, 10_000), (65_535, 65_535)])
def test_a_huge_header_is_not_decoded(
    access: PictureAccess, root: Path, size: tuple[int, int]
) -> None:
    (root / "bomb.png").write_bytes(png_header(*size))
    assert access.resolve("bomb.png") is None
    assert access.inline_jpeg("bomb.png") is None
    with pytest.raises(LimitExceeded, match="max_picture_pixels is 64000000") as caught:
        access.thumbnail("bomb.png", 64)
    assert caught.value.value == size[0] * size[1]


def test_the_limit_is_of_pixels(root: Path) -> None:
    assert PictureAccess([root], Limits(max_picture_pixels=3200)).resolve("a.png")
    assert PictureAccess([root], Limits(max_picture_pixels=3199)).resolve("a.png") is None
