"""The second opinion: it accepts what the stripper writes, and nothing that has one thing more or less."""

from __future__ import annotations

import io
import random

import pytest

from bucketops_jobs.exif import header
from bucketops_jobs.exif import verify as proof
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.tiff import orientation_only
from bucketops_jobs.exif.verdict import Refusal
from bucketops_jobs.exif.verify import NotCleanError, verify
from support.jpegs import EOI, SOI, after_soi, before_scan, exif, icc_chunks, picture, segment, srgb
from support.traps import TRAPS

PLAIN = picture(size=(16, 16))
ORIENTED = segment(0xE1, orientation_only(6))
ADOBE = segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x01")
ICC = icc_chunks(srgb(), 300)
JFIF = PLAIN[2:20]


def test_what_is_allowed_passes_and_is_told() -> None:
    whole = SOI + JFIF + ORIENTED + b"".join(ICC) + ADOBE + PLAIN[20:]
    found = verify(io.BytesIO(whole))
    assert (found.orientation, found.icc, found.size) == (6, True, len(whole))
    assert found.coded_crc32 == verify(io.BytesIO(PLAIN)).coded_crc32


FORBIDDEN = {
    "a comment": after_soi(PLAIN, segment(0xFE, b"")),
    "a comment behind JFIF": PLAIN[:20] + segment(0xFE, b"x") + PLAIN[20:],
    "a comment before the scan": before_scan(PLAIN, segment(0xFE, b"x")),
    "an empty application segment": PLAIN[:20] + segment(0xEF, b"") + PLAIN[20:],
    "two JFIF segments": after_soi(PLAIN, JFIF),
    "a JFIF thumbnail": SOI + segment(0xE0, JFIF[4:16] + b"\x01\x01rgb") + PLAIN[20:],
    "real EXIF": after_soi(PLAIN, exif(6, b"camera")),
    "EXIF behind ICC": SOI + JFIF + b"".join(ICC) + ORIENTED + PLAIN[20:],
    "orientation 1, which nobody needs": SOI + JFIF + segment(0xE1, orientation_only(1)) + PLAIN[20:],
    "two orientations": SOI + JFIF + ORIENTED + ORIENTED + PLAIN[20:],
    "a byte behind the orientation": SOI + JFIF + segment(0xE1, orientation_only(6) + b"x") + PLAIN[20:],
    "a profile without its end": SOI + JFIF + b"".join(ICC[:-1]) + PLAIN[20:],
    "a profile out of order": SOI + JFIF + b"".join(ICC[::-1]) + PLAIN[20:],
    "a profile with something behind it": SOI + JFIF + b"".join(icc_chunks(srgb() + b"x", 300)) + PLAIN[20:],
    "a profile that is none": SOI + JFIF + b"".join(icc_chunks(bytes(200), 300)) + PLAIN[20:],
    "MPF": SOI + JFIF + segment(0xE2, b"MPF\x00") + PLAIN[20:],
    "a long APP14": SOI + JFIF + segment(0xEE, ADOBE[4:] + b"x") + PLAIN[20:],
    "a fill byte before a segment": SOI + JFIF + b"\xff" + PLAIN[20:],
    "garbage before a segment": SOI + JFIF + b"x" + PLAIN[20:],
    "a long quantization table": before_scan(PLAIN, segment(0xDB, bytes(65) + b"x")),
    "a long Huffman table": before_scan(PLAIN, segment(0xC4, bytes(17) + b"x")),
    "a long restart interval": before_scan(PLAIN, segment(0xDD, b"\x00\x00x")),
    "a second frame": before_scan(PLAIN, segment(0xC0, b"\x08\x00\x10\x00\x10\x01\x01\x11\x00")),
    "a restart marker between segments": before_scan(PLAIN, b"\xff\xd0"),
    "two bytes behind EOI": PLAIN + b"\x00\x00",
    "a second EOI": PLAIN + EOI,
    "no EOI": PLAIN[:-2],
    "half an EOI": PLAIN[:-1],
    "another marker behind the scan": PLAIN[:-2] + b"\xff\x3a" + EOI,
    "EXIF in the scan": PLAIN[:-2] + b"Exif\x00\x00" + EOI,
    "EXIF in a table": before_scan(PLAIN, segment(0xDB, b"\x00" + b"Exif\x00\x00".ljust(64))),
    "EXIF in the first of many tables": before_scan(
        PLAIN, segment(0xDB, b"\x00" + b"Exif\x00\x00".ljust(64)), segment(0xDB, bytes(65)) * 300
    ),
    "XMP in the scan": PLAIN[:-2] + bytes(4_090) + b"http://ns.adobe.com/" + EOI,
    "no picture": SOI + EOI,
    "no frame": SOI + PLAIN[PLAIN.index(b"\xff\xda") :],
    "nothing": b"",
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_is_forbidden_does_not_pass(name: str) -> None:
    with pytest.raises(NotCleanError):
        verify(io.BytesIO(FORBIDDEN[name]))


@pytest.mark.parametrize("block", [1, 2, 3, 64, 997])
@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_is_forbidden_does_not_pass_wherever_a_block_ends(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_BLOCK", block)
    with pytest.raises(NotCleanError):
        verify(io.BytesIO(FORBIDDEN[name]))


@pytest.mark.parametrize("name", ["progressive", "restart markers", "CMYK", "ICC in many chunks"])
def test_what_is_found_does_not_depend_on_where_a_block_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = io.BytesIO()
    strip(io.BytesIO(TRAPS[name]().source), sink)
    found = verify(sink)
    for block in (*range(1, 30), 499, 997):
        monkeypatch.setattr(proof, "_BLOCK", block)
        assert verify(sink) == found


@pytest.mark.parametrize("name", ["progressive", "restart markers", "CMYK", "ICC in many chunks"])
def test_a_result_cut_off_anywhere_does_not_pass(name: str) -> None:
    sink = io.BytesIO()
    strip(io.BytesIO(TRAPS[name]().source), sink)
    whole = sink.getvalue()
    chance = random.Random(name)
    for size in {*range(700), *(chance.randrange(len(whole)) for _ in range(200))}:
        with pytest.raises(NotCleanError):
            verify(io.BytesIO(whole[: min(size, len(whole) - 1)]))


LEAKS = {
    "a comment": segment(0xFE, b"secret"),
    "an application segment": segment(0xE5, b"secret"),
    "an orientation that nobody asked for": ORIENTED,
    "a profile that the picture does not have": b"".join(ICC),
    "another table": segment(0xDD, b"\x00\x00"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_stripper_that_errs_writes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed: whatever the walk lets through, the check finds."""
    whole = header.Header.segments

    def leaking(self: header.Header) -> object:
        yield "leak", LEAKS[name]
        yield from whole(self)

    monkeypatch.setattr(header.Header, "segments", leaking)
    sink = io.BytesIO()
    assert strip(io.BytesIO(picture("CMYK")), sink).refusal is Refusal.NOT_CLEAN
    assert sink.getvalue() == b""


def test_a_sink_that_gives_back_something_else_is_noticed() -> None:
    class Rotten(io.BytesIO):
        def write(self, data: object, /) -> int:
            written = bytes(data)  # type: ignore[call-overload]
            return super().write(written if len(written) < 1000 else written[:-1] + bytes((written[-1] ^ 0x10,)))

    sink = Rotten()
    assert strip(io.BytesIO(picture()), sink).refusal is Refusal.NOT_CLEAN
    assert sink.getvalue() == b""
