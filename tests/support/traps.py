"""A file for every trap of JPEG: each with canaries in whatever must not come out."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

from support.jpegs import (
    EXTENDED_XMP,
    XMP,
    adobe_rgb,
    after_soi,
    before_scan,
    exif,
    icc_chunks,
    image,
    picture,
    pixels,
    samsung_trailer,
    segment,
    srgb,
    video,
)

CANARY = b"CANARY"


@dataclass(frozen=True)
class Trap:
    """What goes in, and what must come out of it."""

    source: bytes
    orientation: int = 1
    icc: bytes = b""
    removed: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    like: bytes = b""
    """A file of the same pixels, where Pillow cannot decode `source` itself."""

    eoi: bool = True
    """Whether the picture in `source` ends with a marker of its own."""

    def pixels(self) -> tuple[str, tuple[int, int], bytes]:
        return pixels(self.like or self.source)


def canary(name: str) -> bytes:
    """Unlike anything else."""
    return CANARY + b"-" + name.encode() + b"-" + CANARY


def xmp(text: str) -> bytes:
    body = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{text}{CANARY.decode()}</x:xmpmeta>'
    return segment(0xE1, XMP + body.encode())


def _applications() -> Trap:
    """APP0 to APP15 and COM, none of which has to do with the picture."""
    parts = [segment(0xE0 + n, canary(f"app{n}")) for n in range(16)]
    names = tuple(f"app{n}" for n in range(16))
    return Trap(after_soi(picture(), *parts, segment(0xFE, canary("com"))), removed=(*names, "comment"))


def _extended_xmp() -> Trap:
    guid = b"0123456789ABCDEF0123456789ABCDEF"
    text = canary("extended") * 8000
    parts = [
        segment(0xE1, EXTENDED_XMP + guid + struct.pack(">II", len(text), at) + text[at : at + 65_000])
        for at in range(0, len(text), 65_000)
    ]
    head = xmp(f'<rdf:Description xmpNote:HasExtendedXMP="{guid.decode()}"/>')
    return Trap(after_soi(picture(), head, *parts), removed=("xmp", "xmp_extended"))


def _mpf(payload: bytes = b"") -> bytes:
    return segment(0xE2, b"MPF\x00" + canary("mpf") + payload)


def _motion_photo() -> Trap:
    head = xmp('<rdf:Description GCamera:MotionPhoto="1"/>')
    return Trap(after_soi(picture(), head) + video(canary("video")), removed=("xmp", "trailer_video"))


def _ultra_hdr() -> Trap:
    gain_map = after_soi(picture("L"), exif(6, canary("gain")))
    head = xmp('<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>')
    iso = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\x00" + canary("iso"))
    source = after_soi(picture(), exif(8, canary("exif")), head, iso, _mpf()) + gain_map
    return Trap(source, 8, removed=("exif", "xmp", "gain_map", "mpf", "trailer_jpeg"), losses=("hdr_dropped",))


def _c2pa() -> Trap:
    box = b"JP\x00\x01\x00\x00\x00\x01" + b"\x00\x00\x00\x40jumb" + canary("c2pa")
    return Trap(after_soi(picture(), segment(0xEB, box)), removed=("c2pa",))


def _thumbnails() -> Trap:
    """In JFIF itself (3 bytes per pixel), in JFXX (a JPEG), and in EXIF."""
    jfif = segment(0xE0, b"JFIF\x00\x01\x02\x01\x00\x48\x00\x48\x04\x02" + canary("thumbnail")[:24].ljust(24))
    jfxx = segment(0xE0, b"JFXX\x00\x10" + after_soi(picture(size=(8, 8)), segment(0xFE, canary("jfxx"))))
    return Trap(_without_jfif(jfif, jfxx, exif(3, canary("exif"))), 3, removed=("thumbnail", "jfxx", "exif"))


def _without_jfif(*instead: bytes) -> bytes:
    source = picture()
    return source[:2] + b"".join(instead) + source[20:]


def _orientation(number: int, order: str, kind: int) -> Trap:
    return Trap(after_soi(picture(), exif(number, canary("make"), order, kind)), number, removed=("exif",))


def _icc(size: int, order: list[int] | None = None) -> Trap:
    profile = srgb()
    return Trap(after_soi(picture(), *icc_chunks(profile, size, order)), icc=profile)


def _icc_not_one() -> Trap:
    """What no reader takes for a profile: a chunk of it is missing."""
    parts = icc_chunks(srgb() + canary("icc"), 200)
    return Trap(after_soi(picture(), *parts[1:]), removed=("icc",), losses=("icc_invalid",))


def _icc_forged() -> Trap:
    parts = icc_chunks(canary("icc") * 30, 65_519)
    return Trap(after_soi(picture(), *parts), removed=("icc",), losses=("icc_invalid",))


def _icc_padded() -> Trap:
    profile = srgb()
    return Trap(after_soi(picture(), *icc_chunks(profile + canary("pad"), 300)), icc=profile, removed=("icc_padding",))


def _adobe_padded() -> Trap:
    source = picture("CMYK")
    at = source.index(b"\xff\xee\x00\x0eAdobe")
    longer = segment(0xEE, source[at + 4 : at + 16] + canary("adobe"))
    return Trap(source[:at] + longer + source[at + 16 :], removed=("adobe",))


def _ycck() -> Trap:
    """CMYK with transform 2: without APP14 its colours would be others."""
    source = picture("CMYK")
    at = source.index(b"Adobe") + 11
    return Trap(source[:at] + b"\x02" + source[at + 1 :])


def _rgb() -> Trap:
    """Three components that are RGB because APP14 says so (transform 0)."""
    adobe = segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x00")
    return Trap(_without_jfif(adobe))


def _between_scans() -> Trap:
    source = picture(progressive=True)
    for number in (4, 3, 2):
        source = before_scan(
            source, segment(0xE1, canary(f"scan{number}")), segment(0xFE, canary("com")), number=number
        )
    return Trap(source, removed=("app1", "comment"))


def _exif_between_scans() -> Trap:
    source = before_scan(picture(progressive=True), exif(6, canary("late")), number=2)
    return Trap(source, removed=("exif",))


def _garbage() -> Trap:
    source = after_soi(picture(), canary("one"), segment(0xFE, canary("com")), canary("two") + b"\xff\x00\xff")
    return Trap(before_scan(source, canary("three") + b"\x00\xff"), removed=("garbage", "comment"), like=picture())


def _fill_bytes() -> Trap:
    source = before_scan(picture(progressive=True), b"\xff" * 700, number=2)
    return Trap(after_soi(source, b"\xff" * 300_000, segment(0xFE, canary("com"))), removed=("fill", "comment"))


def _stray_markers() -> Trap:
    return Trap(
        after_soi(picture(), b"\xff\x01\xff\xd0\xff\xd7", exif(5)), 5, removed=("stray_marker", "exif"), like=picture()
    )


def _lengths_out_of_range() -> Trap:
    """A length counts itself: 0 and 1 cannot be. libjpeg takes such application segments for empty ones."""
    return Trap(after_soi(picture(), b"\xff\xe5\x00\x00", b"\xff\xfe\x00\x01"), removed=("app5", "comment"))


def _dnl() -> Trap:
    """The number of lines once more, behind the first scan, where the standard has it."""
    source = picture()
    return Trap(source[:-2] + segment(0xDC, struct.pack(">H", 40)) + source[-2:])


def _samsung_without_eoi() -> Trap:
    source = picture()
    return Trap(source[:-2] + samsung_trailer(canary("sef")), removed=("trailer_samsung",), like=source, eoi=False)


def _samsung_with_an_eoi_inside() -> Trap:
    source = picture()
    return Trap(
        source[:-2] + samsung_trailer(canary("a") + b"\xff\xd9" + canary("b")),
        removed=("trailer_samsung",),
        like=source,
        eoi=False,
    )


def _samsung_with_a_picture_inside() -> Trap:
    source = picture()
    inner = after_soi(picture("L"), exif(6, canary("inner")))
    return Trap(
        source[:-2] + samsung_trailer(canary("a") + inner), removed=("trailer_samsung",), like=source, eoi=False
    )


def _polyglot(tail: bytes) -> Trap:
    head = segment(0xFE, b"<?php " + canary("php") + b" __HALT_COMPILER(); ?>")
    return Trap(after_soi(picture(), head) + tail + canary("tail"), removed=("comment", "trailer"))


def _mpo() -> Trap:
    """Two pictures, of which the second has its own EXIF."""
    out = io.BytesIO()
    image().save(out, "MPO", save_all=True, append_images=[image("RGB", (16, 16))], quality=90)
    second = after_soi(picture(size=(16, 16)), exif(7, canary("second")))
    return Trap(out.getvalue() + second, removed=("mpf", "trailer_jpeg"))


def _second_exif() -> Trap:
    return Trap(after_soi(picture(), exif(6, canary("1")), exif(3, canary("2"))), 6, removed=("exif",))


def _late_exif() -> Trap:
    return Trap(before_scan(picture(), exif(6, canary("late"))), 6, removed=("exif",))


def _damaged_exif() -> Trap:
    whole = exif(6, canary("exif"))
    return Trap(after_soi(picture(), segment(0xE1, whole[4:20])), removed=("exif",), like=picture())


TRAPS: dict[str, Callable[[], Trap]] = {
    "as it comes": lambda: Trap(picture()),
    "every application segment": _applications,
    "extended XMP": _extended_xmp,
    "motion photo": _motion_photo,
    "Ultra HDR": _ultra_hdr,
    "C2PA in APP11": _c2pa,
    "thumbnails": _thumbnails,
    "Flashpix": lambda: Trap(after_soi(picture(), segment(0xE2, b"FPXR\x00" + canary("f"))), removed=("flashpix",)),
    "IPTC": lambda: Trap(
        after_soi(picture(), segment(0xED, b"Photoshop 3.0\x008BIM" + canary("i"))), removed=("iptc",)
    ),
    "thermal picture": lambda: Trap(
        after_soi(picture(), segment(0xE1, b"FLIR\x00\x01" + canary("f"))), removed=("flir",)
    ),
    "Adobe RGB without a profile": lambda: Trap(
        after_soi(picture(), adobe_rgb(canary("r"))), removed=("exif",), losses=("colorspace_dropped",)
    ),
    "ICC in one chunk": lambda: _icc(65_519),
    "ICC in many chunks": lambda: _icc(200),
    "ICC in chunks out of order": lambda: _icc(200, [2, 0, 1]),
    "ICC with a chunk missing": _icc_not_one,
    "ICC that is none": _icc_forged,
    "ICC with something behind it": _icc_padded,
    "CMYK": lambda: Trap(picture("CMYK")),
    "YCCK": _ycck,
    "RGB": _rgb,
    "grey": lambda: Trap(picture("L")),
    "APP14 with something behind it": _adobe_padded,
    "progressive": lambda: Trap(picture(progressive=True)),
    "restart markers": lambda: Trap(picture(restart_marker_blocks=1)),
    "segments between scans": _between_scans,
    "EXIF between scans": _exif_between_scans,
    "garbage between segments": _garbage,
    "fill bytes": _fill_bytes,
    "stray markers": _stray_markers,
    "lengths out of range": _lengths_out_of_range,
    "DNL": _dnl,
    "Samsung trailer": lambda: Trap(picture() + samsung_trailer(canary("s")), removed=("trailer_samsung",)),
    "Samsung trailer without EOI": _samsung_without_eoi,
    "Samsung trailer with an EOI inside": _samsung_with_an_eoi_inside,
    "Samsung trailer with a picture inside": _samsung_with_a_picture_inside,
    "ZIP polyglot": lambda: _polyglot(b"PK\x03\x04"),
    "HTML polyglot": lambda: _polyglot(b"<script>"),
    "PDF polyglot": lambda: _polyglot(b"%PDF-1.7"),
    "several pictures": _mpo,
    "two EXIF segments": _second_exif,
    "EXIF behind the frame": _late_exif,
    "EXIF cut off": _damaged_exif,
    "two JFIF segments": lambda: Trap(after_soi(picture(), picture()[2:20]), removed=("jfif",)),
    **{
        f"orientation {number}, {order}, type {kind}": lambda n=number, o=order, k=kind: _orientation(n, o, k)  # type: ignore[misc]
        for number in range(1, 9)
        for order, kind in (("<", 3), (">", 3), (">", 4), ("<", 1))
    },
    "orientation 0": lambda: Trap(after_soi(picture(), exif(0)), removed=("exif",)),
    "orientation 9": lambda: Trap(after_soi(picture(), exif(9)), removed=("exif",)),
}
