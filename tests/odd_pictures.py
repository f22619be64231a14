"""Picture files as the world sends them: every format, mode and kind of damage, made here."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SIZE = (24, 16)


def noise(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """The same random pixels each time."""
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    bands = Image.new(mode, (1, 1)).getbands()
    values = rng.integers(0, 256, (size[1], size[0], len(bands)), dtype=np.uint8)
    layers = [Image.fromarray(np.ascontiguousarray(values[..., i])) for i in range(len(bands))]
    return layers[0].convert(mode) if len(bands) == 1 else Image.merge(mode, layers)


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG from its parts; ``rows`` with their filter bytes."""
    head = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def lab() -> Image.Image:
    srgb, profile = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    change = ImageCms.buildTransform(srgb, profile, "RGB", "LAB")
    changed = ImageCms.applyTransform(noise(), change)
    assert changed is not None
    return changed


def ycck() -> bytes:
    """A CMYK JPEG whose Adobe segment says that its colours were transformed."""
    data = bytearray(encoded(noise(mode="CMYK"), "JPEG"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def arithmetic_jpeg() -> bytes:
    """An arithmetic-coded JPEG of one grey block; any bytes are a valid code."""
    segments = [
        b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([16] * 64),
        b"\xff\xc9" + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + b"\x01\x11\x00",
        b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x3f\x00",
    ]
    return b"\xff\xd8" + b"".join(segments) + bytes(32) + b"\xff\xd9"


def animation(format_: str, **options: Any) -> bytes:
    """Red, then blue."""
    red, blue = (Image.new("RGB", SIZE, colour) for colour in ("red", "blue"))
    return encoded(red, format_, save_all=True, append_images=[blue], **options)


def premultiplied(image: Image.Image) -> bytes:
    """A TIFF that says of an RGBA picture that its colours were multiplied with their alpha."""
    data = encoded(image, "TIFF")
    kind = struct.pack("<HHI", 338, 3, 1)  # ExtraSamples: 2 is plain alpha, 1 is premultiplied.
    assert data.count(kind) == 1
    return data.replace(kind + struct.pack("<I", 2), kind + struct.pack("<I", 1))


def floats() -> bytes:
    values = np.linspace(0, 1, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE[1], SIZE[0])
    values[0, :3] = np.nan, np.inf, -np.inf
    return encoded(Image.fromarray(values), "TIFF")


def deep(dtype: Any, format_: str) -> bytes:
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, SIZE[0] * SIZE[1]).astype(dtype).reshape(SIZE[1], SIZE[0])
    return encoded(Image.fromarray(values), format_)


def readable() -> dict[str, bytes]:
    """What is unusual and still a picture."""
    rgb = noise()
    deep_rgb = (b"\0" + b"\x80\x00\x10\x00\xff\xff" * 4) * 4
    jpeg = encoded(rgb, "JPEG")
    grey_rows = (b"\0" + b"abcd") * 4
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "1x1": encoded(noise((1, 1))),
        "1x10,000": encoded(noise((1, 10_000))),
        "10,000x1": encoded(noise((10_000, 1))),
        "1x10,000 of one bit": encoded(noise((1, 10_000)).convert("1")),
        "grey": encoded(noise(mode="L")),
        "1 bit": encoded(rgb.convert("1")),
        "1 bit TIFF": encoded(rgb.convert("1"), "TIFF", compression="group4"),
        "1 bit with transparency": png(
            (8, 4), 1, 0, b"\0\xf0" * 4, chunk(b"tRNS", struct.pack(">H", 0))
        ),
        "palette": encoded(rgb.convert("P")),
        "palette with transparency": encoded(rgb.convert("P"), transparency=3),
        "palette with alphas": encoded(rgb.quantize(8), transparency=bytes(range(0, 256, 32))),
        "LA": encoded(noise(mode="LA")),
        "RGBA": encoded(noise(mode="RGBA")),
        "one transparent colour": encoded(rgb, transparency=(0, 0, 0)),
        "premultiplied": premultiplied(noise(mode="RGBA")),
        "CMYK TIFF": encoded(noise(mode="CMYK"), "TIFF"),
        "CMYK JPEG": encoded(noise(mode="CMYK"), "JPEG"),
        "YCCK JPEG": ycck(),
        "YCbCr TIFF": encoded(rgb.convert("YCbCr"), "TIFF"),
        "LAB TIFF": encoded(lab(), "TIFF"),
        "16 bit grey": deep(np.uint16, "PNG"),
        "16 bit grey with transparency": png(
            (4, 4), 16, 0, (b"\0" + b"\x80\0" * 4) * 4, chunk(b"tRNS", b"\x80\0")
        ),
        "16 bit RGB": png((4, 4), 16, 2, deep_rgb),
        "16 bit TIFF": deep(np.uint16, "TIFF"),
        "32 bit TIFF": deep(np.int32, "TIFF"),
        "float TIFF": floats(),
        "all NaN": encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"),
        "16 bit PGM": b"P5\n2 1\n65535\n\x00\x00\xff\xff",
        "bitmap": encoded(rgb, "BMP"),
        "AVIF": encoded(rgb, "AVIF"),
        "animated GIF": animation("GIF"),
        "animated WebP": animation("WEBP", lossless=True),
        "animated PNG": animation("PNG"),
        "animated PNG with another default": animation("PNG", default_image=True),
        "MPO": animation("MPO"),
        "progressive JPEG": encoded(rgb, "JPEG", progressive=True),
        "arithmetic JPEG": arithmetic_jpeg(),
        "JPEG with more after its end": jpeg + b"\0more" * 200,
        "JPEG with broken EXIF": encoded(rgb, "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 40),
        "PNG with broken EXIF": png((4, 4), 8, 0, grey_rows, chunk(b"eXIf", b"\xff" * 40)),
        "JPEG with an unknown orientation": encoded(rgb, "JPEG", exif=exif(77)),
        "JPEG with a profile": encoded(rgb, "JPEG", icc_profile=profile),
        "JPEG with a broken profile": encoded(rgb, "JPEG", icc_profile=b"\xff" * 200),
        "PNG that unpacks to more than its rows": png((4, 4), 8, 0, grey_rows * 100_000),
    }  # fmt: skip


def unreadable() -> dict[str, bytes]:
    """What is no picture, or not a whole one."""
    rgb = noise((64, 48))
    wholes = {f: encoded(rgb, f) for f in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")}
    grey_rows = (b"\0" + b"abcd") * 4
    bomb = zlib.compress(bytes(4 * 2**20))
    return {
        "nothing": b"",
        "zeros": bytes(1000),
        "text": b"not a picture at all, but some words",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>',
        "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        **{f"half a {name}": data[: len(data) // 2] for name, data in wholes.items()},
        **{f"start of a {name}": data[:20] for name, data in wholes.items()},
        "PNG without rows": png((4, 4), 8, 0, b""),
        "PNG with 0 pixels": png((0, 4), 8, 0, b""),
        "PNG with a text that unpacks to much": png(
            (4, 4), 8, 0, grey_rows, chunk(b"zTXt", b"k\0\0" + bomb)
        ),
        "PNG with a profile that unpacks to much": png(
            (4, 4), 8, 0, grey_rows, chunk(b"iCCP", b"k\0\0" + bomb)
        ),
    }  # fmt: skip


def declaring(width: int, height: int) -> dict[str, bytes]:
    """Small files of each format whose headers claim that size."""
    big, little = struct.pack(">II", width, height), struct.pack("<II", width, height)
    jpeg = bytearray(encoded(noise(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", height, width)
    gif = bytearray(encoded(noise().convert("P"), "GIF"))
    gif[6:10] = struct.pack("<HH", width, height)
    bitmap = bytearray(encoded(noise(), "BMP"))
    bitmap[18:26] = little
    tiff = encoded(noise(), "TIFF")
    for tag, value, claimed in ((256, SIZE[0], width), (257, SIZE[1], height)):
        entry = struct.pack("<HHI", tag, 4, 1)
        assert entry + struct.pack("<I", value) in tiff
        tiff = tiff.replace(entry + struct.pack("<I", value), entry + struct.pack("<I", claimed))
    webp = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0"
    webp += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    frame = encoded(noise(), "WEBP")[12:]
    head = b"\0" * 6 + struct.pack("<I", SIZE[0] - 1)[:3] + struct.pack("<I", SIZE[1] - 1)[:3]
    frame = head + b"\x64\0\0\0" + frame
    webp += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    webp += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return {
        "PNG": png((width, height), 8, 2, b"\0"),
        "JPEG": bytes(jpeg),
        "GIF": bytes(gif),
        "BMP": bytes(bitmap),
        "TIFF": tiff,
        "WebP": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
        "AVIF": _claimed(encoded(noise(), "AVIF"), big),
        "PPM": b"P6 %d %d 255\n" % (width, height),
    }


def claimed_heic(data: bytes, width: int, height: int) -> bytes:
    return _claimed(data, struct.pack(">II", width, height))


def _claimed(data: bytes, size: bytes) -> bytes:
    changed = bytearray(data)
    at = changed.find(b"ispe")
    while at >= 0:
        changed[at + 8 : at + 16] = size
        at = changed.find(b"ispe", at + 4)
    return bytes(changed)


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """How a camera stores an upright picture that it says to turn: EXIF's 1 … 8."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image
