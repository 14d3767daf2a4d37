"""The stripper over a file for every trap: nothing leaks, nothing that people see is lost."""

from __future__ import annotations

import io
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, Verdict
from support.jpegs import EOI, SOI, after_soi, before_scan, exif, icc_chunks, look, picture, pixels, segment, srgb
from support.traps import CANARY, TRAPS, canary


def run(source: bytes, options: Options | None = None) -> tuple[Verdict, bytes]:
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(source), sink, options or Options())
    assert sink.tell() == 0
    return verdict, sink.read()


def clean(source: bytes, options: Options | None = None) -> bytes:
    verdict, result = run(source, options)
    assert verdict.clean, verdict.message
    assert verdict.clean_bytes == len(result)
    return result


def refused(source: bytes, options: Options | None = None) -> Refusal | None:
    verdict, result = run(source, options)
    assert result == b""
    assert verdict.message
    return verdict.refusal


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_comes_out_clean_and_looks_the_same(name: str) -> None:
    trap = TRAPS[name]()
    verdict, result = run(trap.source)
    assert verdict.clean, verdict.message
    assert CANARY not in result
    assert pixels(result) == trap.pixels()
    assert look(result) == (trap.orientation, trap.icc)
    assert verdict.report.orientation == trap.orientation
    assert set(trap.removed) == set(verdict.report.removed)
    assert set(trap.losses) == verdict.report.losses


@pytest.mark.parametrize("name", TRAPS)
def test_every_byte_of_the_source_is_accounted_for_once(name: str) -> None:
    trap = TRAPS[name]()
    report = run(trap.source)[0].report
    removed = sum(amount.bytes for amount in report.removed.values())
    kept = sum(amount.bytes for kind, amount in report.kept.items() if kind != "orientation")
    ends = len(SOI) + (len(EOI) if trap.eoi else 0)
    assert removed + kept + ends == len(trap.source)


@pytest.mark.parametrize("name", TRAPS)
def test_a_clean_file_comes_out_as_it_is(name: str) -> None:
    result = clean(TRAPS[name]().source)
    verdict, again = run(result)
    assert again == result
    assert not {kind for kind in verdict.report.removed if kind != "exif"}


@pytest.mark.parametrize("source", [picture(size=(8, 8)), picture(size=(8, 8), progressive=True)], ids=["one", "many"])
def test_a_file_cut_off_anywhere_is_refused(source: bytes) -> None:
    for size in range(len(source)):
        assert refused(source[:size]) in {Refusal.EMPTY, Refusal.NOT_JPEG, Refusal.TRUNCATED}, size


def test_a_file_cut_off_anywhere_never_passes_for_a_samsung_panorama() -> None:
    source = TRAPS["Samsung trailer without EOI"]().source
    for size in range(len(source)):
        assert refused(source[:size]) is not None, size


OTHERS = {
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "GIF": b"GIF89a" + bytes(50),
    "WebP": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "HEIC": b"\x00\x00\x00\x18ftypheic" + bytes(50),
    "TIFF": b"II*\x00" + bytes(50),
    "PDF": b"%PDF-1.7",
    "JPEG XL": b"\xff\x0a" + bytes(50),
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    "EXV": b"\xff\x01Exiv2",
    "something else": b"hello, world",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_jpeg_is_refused_and_named(name: str) -> None:
    verdict, result = run(OTHERS[name])
    assert verdict.refusal is Refusal.NOT_JPEG
    assert name in verdict.message
    assert result == b""


def replaced(old: bytes, new: bytes, **options: object) -> bytes:
    source = picture(**options)  # type: ignore[arg-type]
    assert source.count(old) >= 1
    return source.replace(old, new, 1)


def in_scan(data: bytes) -> bytes:
    """`data` in the middle of the first scan."""
    source = picture()
    at = source.index(b"\xff\xda") + 200
    while source[at - 1] == 0xFF:
        at += 1
    return source[:at] + data + source[at:]


REFUSALS = {
    "nothing at all": (b"", Refusal.EMPTY),
    "no scan": (SOI + exif(6) + EOI, Refusal.NO_IMAGE),
    "a scan without a frame": (SOI + picture()[picture().index(b"\xff\xda") :], Refusal.CORRUPT_SEGMENT),
    "two frames": (before_scan(picture(), picture()[picture().index(b"\xff\xc0") :][:19]), Refusal.CORRUPT_SEGMENT),
    "a second SOI": (after_soi(picture(), SOI), Refusal.CORRUPT_SEGMENT),
    "a picture in a picture": (in_scan(picture()), Refusal.CORRUPT_SCAN),
    "an unknown marker in a scan": (in_scan(b"\xff\x3a"), Refusal.CORRUPT_SCAN),
    "a comment in a scan": (in_scan(segment(0xFE, b"x")), Refusal.CORRUPT_SCAN),
    "a table longer than it says": (replaced(b"\xff\xdb\x00\x43", b"\xff\xdb\x00\x47"), Refusal.CORRUPT_SEGMENT),
    "a table with something behind it": (
        after_soi(picture(), segment(0xDB, bytes(65) + canary("dqt"))),
        Refusal.CORRUPT_SEGMENT,
    ),
    "a Huffman table with something behind it": (
        after_soi(picture(), segment(0xC4, bytes(17) + b"\xff" + canary("dht"))),
        Refusal.CORRUPT_SEGMENT,
    ),
    "a restart interval with something behind it": (
        after_soi(picture(), segment(0xDD, b"\x00\x00" + canary("dri"))),
        Refusal.CORRUPT_SEGMENT,
    ),
    "a table without a length": (after_soi(picture(), b"\xff\xdb\x00\x00"), Refusal.CORRUPT_SEGMENT),
    "a frame with something behind it": (replaced(b"\xff\xc0\x00\x11", b"\xff\xc0\x00\x14"), Refusal.CORRUPT_SEGMENT),
    "a frame without width": (replaced(b"\x08\x00\x28\x00\x30", b"\x08\x00\x28\x00\x00"), Refusal.CORRUPT_SEGMENT),
    "no height and no DNL": (replaced(b"\x08\x00\x28\x00\x30", b"\x08\x00\x00\x00\x30"), Refusal.CORRUPT_SEGMENT),
    "a hierarchical picture": (after_soi(picture(), segment(0xDE, bytes(15))), Refusal.UNSUPPORTED),
    "a differential frame": (replaced(b"\xff\xc0\x00\x11", b"\xff\xc5\x00\x11"), Refusal.UNSUPPORTED),
    "JPEG-LS": (replaced(b"\xff\xc0\x00\x11", b"\xff\xf7\x00\x11"), Refusal.UNSUPPORTED),
    "metadata in a scan": (in_scan(b"Exif\x00\x00" + canary("scan")), Refusal.NOT_CLEAN),
    "XMP behind a scan that lost its EOI": (
        picture()[:-2] + b"http://ns.adobe.com/xap/1.0/" + canary("xmp") + EOI,
        Refusal.NOT_CLEAN,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_made_clean_is_refused_with_a_reason(name: str) -> None:
    source, reason = REFUSALS[name]
    assert refused(source) is reason


def test_no_height_in_the_frame_is_well_with_a_dnl_segment() -> None:
    source = replaced(b"\x08\x00\x28\x00\x30", b"\x08\x00\x00\x00\x30")
    result = clean(source[:-2] + segment(0xDC, b"\x00\x28") + EOI)
    assert result.endswith(segment(0xDC, b"\x00\x28") + EOI)


def test_orientation_can_be_dropped_and_is_told() -> None:
    verdict, result = run(after_soi(picture(), exif(6)), Options(orientation=Choice.DROP))
    assert look(result) == (1, b"")
    assert b"Exif" not in result
    assert verdict.report.losses == {"orientation_dropped"}


def test_the_kept_orientation_is_an_exif_segment_of_36_bytes() -> None:
    result = clean(after_soi(picture(), exif(6, canary("make"))))
    at = result.index(b"\xff\xe1")
    assert result.count(b"Exif") == 1
    assert int.from_bytes(result[at + 2 : at + 4]) + 2 == 36


def test_the_colour_profile_can_be_dropped_and_is_told() -> None:
    source = after_soi(picture(), *icc_chunks(srgb(), 300))
    verdict, result = run(source, Options(icc_profile=Choice.DROP))
    assert look(result) == (1, b"")
    assert verdict.report.losses == {"icc_dropped"}


def test_without_adobe_segment_the_colours_of_cmyk_would_be_others() -> None:
    """The test of the test: pixels are compared in a way that notices it."""
    source = TRAPS["YCCK"]().source
    at = source.index(b"\xff\xee")
    assert pixels(source[:at] + source[at + 16 :]) != pixels(source)


LIMITS = {
    Refusal.TOO_LARGE: Options(max_bytes=1000),
    Refusal.HEADER_TOO_LARGE: Options(max_header_bytes=500),
    Refusal.TOO_MANY_SEGMENTS: Options(max_segments=4),
}


@pytest.mark.parametrize("reason", LIMITS)
def test_limits_hold(reason: Refusal) -> None:
    source = after_soi(picture(), segment(0xFE, bytes(500)))
    assert run(source)[0].clean
    assert refused(source, LIMITS[reason]) is reason


def test_garbage_between_segments_counts_as_theirs() -> None:
    source = after_soi(picture(), bytes(1000))
    assert refused(source, Options(max_header_bytes=1000)) is Refusal.HEADER_TOO_LARGE
    assert run(source, Options(max_header_bytes=3000))[0].clean


def test_tables_without_end_are_refused() -> None:
    table = segment(0xDB, bytes((0,)) + bytes(64))
    assert refused(SOI + table * 9000) is Refusal.TRUNCATED
    assert refused(SOI + table * 10_001) is Refusal.TOO_MANY_SEGMENTS
    assert refused(SOI + segment(0xDB, bytes(65) * 1000) * 20) is Refusal.HEADER_TOO_LARGE


def test_memory_does_not_grow_with_the_picture(tmp_path: Path) -> None:
    """30 MB of scan and 30 MB of metadata go through less than 3 MB."""
    source = picture()
    at = source.index(b"\xff\xda") + 14
    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.write(SOI + segment(0xFE, bytes(60_000)) * 500 + source[2:at])
        for _ in range(30):
            file.write((b"\x12\x34" * 199 + b"\xff\x00") * 2500)
        file.write(EOI)
    with big.open("rb") as file, tempfile.TemporaryFile() as sink:
        tracemalloc.start()
        verdict = strip(file, sink)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert verdict.clean
    assert peak < 3_000_000


class Slow(io.BytesIO):
    """Gives few bytes at a time and cannot seek, like the body of an HTTP answer."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size if size is not None and size > 0 else 7))

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("name", [name for name in TRAPS if "fill" not in name and "extended" not in name])
def test_a_stream_gives_the_same_result(name: str) -> None:
    trap = TRAPS[name]()
    sink = io.BytesIO()
    verdict = strip(Slow(trap.source), sink)
    if trap.eoi:
        assert sink.read() == clean(trap.source)
    else:
        assert verdict.refusal is not None, "a panorama without EOI needs a second look"


def test_the_source_begins_where_it_stands() -> None:
    source = TRAPS["Samsung trailer without EOI"]().source
    file, sink = io.BytesIO(b"before" + source), io.BytesIO()
    file.seek(6)
    assert strip(file, sink).clean
    assert sink.read() == clean(source)


def test_a_failing_disk_raises_and_leaves_nothing_half_written() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            if self.tell() > 500:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    sink = Full()
    with pytest.raises(OSError, match="No space left"):
        strip(io.BytesIO(picture()), sink)
    assert sink.getvalue() == b""
