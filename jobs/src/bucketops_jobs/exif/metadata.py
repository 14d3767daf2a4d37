"""The names of what is taken out. Nothing depends on them but what people are told: whatever is not kept goes."""

from __future__ import annotations

from collections.abc import Iterator

APP0, APP1, APP2, APP11, APP13, APP14, APP15, COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xEF, 0xFE
JFIF = b"JFIF\x00"
EXIF = b"Exif\x00"
ADOBE = b"Adobe"
ICC = b"ICC_PROFILE\x00"

_SIGNATURES = (
    (APP0, JFIF, "jfif"),
    (APP0, b"JFXX\x00", "jfxx"),
    (APP1, EXIF, "exif"),
    (APP1, b"http://ns.adobe.com/xap/1.0/\x00", "xmp"),
    (APP1, b"http://ns.adobe.com/xmp/extension/\x00", "xmp_extended"),
    (APP1, b"FLIR\x00", "flir"),
    (APP2, ICC, "icc"),
    (APP2, b"MPF\x00", "mpf"),
    (APP2, b"FPXR\x00", "flashpix"),
    (APP2, b"urn:iso:std:iso:ts:21496:", "gain_map"),
    (APP11, b"JP", "c2pa"),
    (APP13, b"Photoshop 3.0\x00", "iptc"),
    (APP14, ADOBE, "adobe"),
    (COM, b"", "comment"),
)
_HDR = (b"http://ns.adobe.com/hdr-gain-map/", b"urn:iso:std:iso:ts:21496:", b":aux:hdrgainmap", b"HDRGainMap")


def kind(marker: int, payload: bytes) -> str:
    """What an APPn or COM segment is called: `exif`, `xmp`, `comment`, …, or `app7` for what has no other name."""
    for code, signature, name in _SIGNATURES:
        if marker == code and payload.startswith(signature):
            return name
    return f"app{marker - APP0}"


def is_metadata(marker: int) -> bool:
    """APP0 to APP15, COM, and the extensions that only ever carried application data."""
    return APP0 <= marker <= APP15 or marker == COM


def losses(marker: int, payload: bytes) -> Iterator[str]:
    """What the look of the picture loses with this segment."""
    if marker in {APP1, APP2} and any(mark in payload for mark in _HDR):
        yield "hdr_dropped"
