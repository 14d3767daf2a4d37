"""JPEG files to order: pictures from Pillow, and segments of every kind to put into them."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterable
from typing import Any

from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
XMP = b"http://ns.adobe.com/xap/1.0/\x00"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\x00"


def image(mode: str = "RGB", size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Noise over a slope: it has every coefficient, and its scans have stuffed bytes."""
    chance = random.Random(f"{mode}{size}")
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = bytearray()
    for y in range(size[1]):
        for x in range(size[0]):
            pixels += bytes((x * 5 + y * 3 + band * 40 + chance.randrange(40)) % 256 for band in range(bands))
    return Image.frombytes(mode, size, bytes(pixels))


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 40), **options: Any) -> bytes:
    """A JPEG as libjpeg writes it; `options` are those of Pillow's `save`."""
    out = io.BytesIO()
    image(mode, size).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def pixels(jpeg: bytes) -> tuple[str, tuple[int, int], bytes]:
    """As Pillow decodes it, not turned and not converted."""
    with JpegImageFile(io.BytesIO(jpeg)) as opened:
        opened.load()
        return opened.mode, opened.size, opened.tobytes()


def look(jpeg: bytes) -> tuple[int, bytes]:
    """Orientation and colour profile, as Pillow reads them."""
    with JpegImageFile(io.BytesIO(jpeg)) as opened:
        return opened.getexif().get(0x0112, 1), opened.info.get("icc_profile") or b""


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def after_soi(jpeg: bytes, *parts: bytes) -> bytes:
    return SOI + b"".join(parts) + jpeg[2:]


def before_scan(jpeg: bytes, *parts: bytes, number: int = 1) -> bytes:
    """`parts` in front of the first, second, … scan."""
    at = -1
    for _ in range(number):
        at = jpeg.index(b"\xff\xda", at + 1)
    return jpeg[:at] + b"".join(parts) + jpeg[at:]


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def icc_chunks(profile: bytes, sizes: Iterable[int] | int, order: Iterable[int] | None = None) -> list[bytes]:
    """The profile in chunks, each in a segment."""
    parts = [profile[at : at + sizes] for at in range(0, len(profile), sizes)] if isinstance(sizes, int) else []
    chunks = [
        segment(0xE2, b"ICC_PROFILE\x00" + bytes((number, len(parts))) + part)
        for number, part in enumerate(parts, start=1)
    ]
    return [chunks[n] for n in order] if order is not None else chunks


def tiff(entries: list[tuple[int, int, int, bytes]], order: str = ">", rest: bytes = b"", next_ifd: int = 0) -> bytes:
    """A TIFF block with one directory; entries are (tag, type, count, four bytes)."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    body = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(order + "HHI", tag, kind, count) + value
    return head + body + struct.pack(order + "I", next_ifd) + rest


def exif(orientation: int | None = None, canary: bytes = b"", order: str = ">", kind: int = 3) -> bytes:
    """An EXIF segment with a camera's name that is `canary`, an orientation, and a thumbnail of its own."""
    form = {1: "Bxxx", 3: "Hxx", 4: "I"}[kind]
    entries = [(0x0112, kind, 1, struct.pack(order + form, orientation))] if orientation is not None else []
    count = len(entries) + (1 if canary else 0)
    end = 8 + 2 + 12 * count + 4
    if canary:
        entries.insert(0, (0x010F, 2, len(canary), struct.pack(order + "I", end)))
    return segment(0xE1, b"Exif\x00\x00" + tiff(entries, order, canary))


def adobe_rgb(canary: bytes) -> bytes:
    """EXIF whose InteropIndex R03 says Adobe RGB, as cameras write it."""
    ifd0 = tiff([(0x8769, 4, 1, struct.pack(">I", 26))])
    sub = struct.pack(">HHHII", 1, 0xA005, 4, 1, 44) + bytes(4)
    interop = struct.pack(">HHHI4s", 1, 0x0001, 2, 4, b"R03\x00") + bytes(4)
    return segment(0xE1, b"Exif\x00\x00" + ifd0 + sub + interop + canary)


def samsung_trailer(canary: bytes) -> bytes:
    """Blocks, then the directory SEFH … SEFT that tells how far back they lie."""
    name = b"MotionPhoto_Data"
    block = struct.pack("<HHI", 0, 0x0A30, len(name)) + name + canary
    directory = b"SEFH" + struct.pack("<II", 107, 1) + struct.pack("<HHII", 0, 0x0A30, len(block), len(block))
    return block + directory + struct.pack("<I", len(directory)) + b"SEFT"


def video(canary: bytes) -> bytes:
    """The beginning of an MP4 file."""
    return (
        struct.pack(">I", 24)
        + b"ftypmp42"
        + bytes(4)
        + b"mp42isom"
        + struct.pack(">I", len(canary) + 8)
        + b"mdat"
        + canary
    )
