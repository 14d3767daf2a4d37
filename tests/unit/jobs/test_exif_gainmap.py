"""`hdrGainMap: Keep`: both pictures stay, all metadata of both is written anew, and nothing else comes through."""

from __future__ import annotations

import io
import re
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bucketops_jobs.exif import gainmap, hdrgm, iso21496, mpf
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, Verdict
from bucketops_jobs.exif.verify import NotCleanError, verify
from support.jpegs import EOI, SOI, after_soi, exif, icc_chunks, look, picture, pixels, segment, srgb, video
from support.traps import CANARY, TRAPS, canary
from support.ultrahdr import (
    HDRGM,
    ISO,
    NUMBERS,
    UltraHdr,
    apple,
    directory,
    index,
    iso,
    packet,
    per_channel,
    second_begins,
)
from support.ultrahdr import hdrgm as hdrgm_segment

KEEP = Options(hdr_gain_map=Choice.KEEP)
GREY = picture("L", (24, 24))
PREVIEW = after_soi(picture(size=(16, 16)), exif(6, canary("preview")))
THREE = per_channel("GainMapMin", "0", "-.1", "0.2") + per_channel("GainMapMax", "1", "2e0", "3")


def run(source: bytes, options: Options = KEEP) -> tuple[Verdict, bytes]:
    sink = io.BytesIO()
    return strip(io.BytesIO(source), sink, options), sink.getvalue()


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in NUMBERS.items() if name not in names}


def channels() -> bytes:
    """Three channels, and the prefix of the namespace is any."""
    attributes = " ".join(f'g:{name}="{value}"' for name, value in without("GainMapMin", "GainMapMax").items())
    elements = THREE.replace("hdrgm:", "g:")
    return packet(f'xmlns:g="{HDRGM}"', f'g:Version="1.0" {attributes}', elements)


def as_elements() -> bytes:
    """What XMP allows too: each property an element."""
    elements = "".join(
        f"<hdrgm:{name}>{value}</hdrgm:{name}>" for name, value in (NUMBERS | {"Version": "1.0"}).items()
    )
    return packet(f'xmlns:hdrgm="{HDRGM}"', "", elements)


VERSION = segment(0xE2, ISO + bytes(4))
FILES: dict[str, Callable[[], UltraHdr]] = {
    "as Android writes it": UltraHdr,
    "ISO 21496-1 alone": lambda: UltraHdr(map_segments=iso(), primary_segments=VERSION, with_directory=False),
    "ISO, three channels": lambda: UltraHdr(map_segments=iso(3), primary_segments=VERSION, with_directory=False),
    "ISO, common denominator": lambda: UltraHdr(map_segments=iso(3, common=True), with_directory=False),
    "ISO with more behind it": lambda: UltraHdr(map_segments=iso(rest=canary("iso")), with_directory=False),
    "both forms": lambda: UltraHdr(map_segments=hdrgm_segment() + iso(), primary_segments=VERSION),
    "one number per channel": lambda: UltraHdr(map_segments=channels()),
    "properties as elements": lambda: UltraHdr(map_segments=as_elements()),
    "in colour": lambda: UltraHdr(gain_map=picture("RGB", (24, 24))),
    "progressive": lambda: UltraHdr(picture(progressive=True), picture("L", (24, 24), progressive=True)),
    "with profiles": lambda: UltraHdr(
        after_soi(picture(), *icc_chunks(srgb(), 300)), after_soi(GREY, *icc_chunks(srgb(), 65_000))
    ),
    "turned": lambda: UltraHdr(orientation=6),
    "padding between the pictures": lambda: UltraHdr(padding=canary("padding")),
    "padding and no index": lambda: UltraHdr(padding=canary("padding"), with_index=False),
    "another picture between them": lambda: UltraHdr(before=(PREVIEW,)),
    "another picture and no index": lambda: UltraHdr(before=(PREVIEW,), with_index=False),
    "another picture and no directory": lambda: UltraHdr(before=(PREVIEW, PREVIEW), with_directory=False),
    "a motion photo": lambda: UltraHdr(trailer=video(canary("video"))),
}


@pytest.mark.parametrize("name", FILES)
def test_both_pictures_stay_and_nothing_else(name: str) -> None:
    file = FILES[name]()
    verdict, result = run(file.file())
    assert verdict.clean, verdict.message
    assert (verdict.report.losses, verdict.clean_bytes) == (set(), len(result))
    assert CANARY not in result
    begin = second_begins(result)
    assert pixels(result[:begin]) == pixels(file.primary)
    assert pixels(result[begin:]) == pixels(file.gain_map)
    assert look(result[:begin])[0] == file.orientation
    assert look(result)[1] == look(file.primary)[1]
    assert look(result[begin:]) == (1, look(file.gain_map)[1])


@pytest.mark.parametrize("name", FILES)
def test_a_kept_gain_map_comes_out_as_it_is(name: str) -> None:
    once = run(FILES[name]().file())[1]
    verdict, again = run(once)
    assert verdict.clean
    assert again == once


@pytest.mark.parametrize("name", FILES)
def test_every_byte_of_the_source_is_accounted_for_once(name: str) -> None:
    source = FILES[name]().file()
    report = run(source)[0].report
    removed = sum(amount.bytes for amount in report.removed.values())
    kept = sum(amount.bytes for kind, amount in report.kept.items() if kind not in {"orientation", "hdr_metadata"})
    assert removed + kept + len(SOI + EOI) == len(source)


@pytest.mark.parametrize("name", FILES)
def test_without_the_option_the_gain_map_goes_and_is_told(name: str) -> None:
    file = FILES[name]()
    verdict, result = run(file.file(), Options())
    assert result == run(after_soi(file.primary, exif(file.orientation)), Options())[1]
    assert verdict.report.losses <= {"hdr_dropped"}


@pytest.mark.parametrize("name", FILES)
def test_a_stream_gives_the_same_result(name: str) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(97, size or 97))

        def seekable(self) -> bool:
            return False

    source = FILES[name]().file()
    sink = io.BytesIO()
    assert strip(Slow(source), sink, KEEP).clean
    assert sink.getvalue() == run(source)[1]


def numbers_of(result: bytes) -> dict[str, str]:
    return dict(re.findall(r'hdrgm:(\w+)="([^"]*)"', result[second_begins(result) :].decode("latin-1")))


def test_the_numbers_are_those_of_the_source() -> None:
    told = numbers_of(run(UltraHdr().file())[1])
    assert told.keys() == {"Version", *NUMBERS}
    names = [*hdrgm.PER_CHANNEL, *hdrgm.SINGLE]
    assert [float(told[name]) for name in names] == [float(NUMBERS[name]) for name in names]
    result = run(FILES["one number per channel"]().file())[1].decode("latin-1")
    assert re.findall("<rdf:li>([^<]*)</rdf:li>", result) == ["0", "-0.1", "0.2", "1", "2", "3"]
    assert iso(3)[4:] in run(FILES["ISO, three channels"]().file())[1]
    assert iso(3, common=True)[4:] in run(FILES["ISO, common denominator"]().file())[1]


def test_index_and_directory_say_where_the_gain_map_is() -> None:
    result = run(FILES["both forms"]().file())[1]
    begin = second_begins(result)
    at = result.index(b"MPF\x00") + 4
    assert mpf.offsets(result[at:]) == [begin - at]
    assert f'Item:Length="{len(result) - begin}"'.encode() in result[:begin]
    assert result[begin - 2 : begin + 2] == EOI + SOI


def bomb() -> bytes:
    """A document type whose entities grow: it is not read."""
    text = f'<!DOCTYPE x [<!ENTITY a "{"1" * 50}"><!ENTITY b "{"&a;" * 50}">]><x a="&b;" xmlns:hdrgm="{HDRGM}"/>'
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + text.encode())


def cut(file: UltraHdr, size: int) -> bytes:
    return file.file()[:-size]


LOST: dict[str, Callable[[], bytes]] = {
    "Apple's own form": apple,
    "no second picture": lambda: after_soi(picture(), directory(500)),
    "cut off": lambda: cut(UltraHdr(), 200),
    "no numbers": lambda: UltraHdr(map_segments=b"").file(),
    "another version": lambda: UltraHdr(map_segments=hdrgm_segment(version="2.0")).file(),
    "a required number is missing": lambda: UltraHdr(
        map_segments=packet(f'xmlns:hdrgm="{HDRGM}"', 'hdrgm:Version="1.0" hdrgm:GainMapMax="1"')
    ).file(),
    "words for a number": lambda: UltraHdr(map_segments=hdrgm_segment({"Gamma": canary("x").decode()})).file(),
    "infinity": lambda: UltraHdr(map_segments=hdrgm_segment({"Gamma": "inf"})).file(),
    "a number beyond reason": lambda: UltraHdr(map_segments=hdrgm_segment({"GainMapMax": "1e300"})).file(),
    "gamma 0": lambda: UltraHdr(map_segments=hdrgm_segment({"Gamma": "0"})).file(),
    "two numbers": lambda: UltraHdr(map_segments=hdrgm_segment(elements=per_channel("Gamma", "1"))).file(),
    "neither true nor false": lambda: UltraHdr(map_segments=hdrgm_segment({"BaseRenditionIsHDR": "x"})).file(),
    "XML that is none": lambda: UltraHdr(map_segments=hdrgm_segment().replace(b"</rdf", b"<</x")).file(),
    "a bomb": lambda: UltraHdr(map_segments=bomb()).file(),
    "ISO, not whole": lambda: UltraHdr(map_segments=segment(0xE2, iso(3)[4:-1]), with_directory=False).file(),
    "ISO, a denominator of 0": lambda: UltraHdr(
        map_segments=segment(0xE2, ISO + bytes(5) + bytes(56)), with_directory=False
    ).file(),
    "ISO of a later version": lambda: UltraHdr(
        map_segments=segment(0xE2, ISO + b"\0\1" + iso()[34:]), with_directory=False
    ).file(),
    "a damaged picture": lambda: UltraHdr(gain_map=GREY[:-30] + b"\xff\xd8" + GREY[-30:]).file(),
    "an index to nowhere": lambda: after_soi(picture(), directory(9), index([(0, 9), (1 << 30, 9)], 900)) + b"tail",
    "an index that is none": lambda: after_soi(picture(), directory(9), segment(0xE2, b"MPF\0MM\0*\xff\xff\xff\xff")),
}


@pytest.mark.parametrize("name", LOST)
def test_where_it_cannot_be_kept_it_goes_and_is_told(name: str) -> None:
    source = LOST[name]()
    verdict, result = run(source)
    assert verdict.clean, verdict.message
    assert verdict.report.losses == {"hdr_dropped"}
    assert result == run(source, Options())[1]
    assert verify(io.BytesIO(result)).gain_map_crc32 is None
    removed = sum(amount.bytes for amount in verdict.report.removed.values())
    assert removed + len(result) == len(source)


@pytest.mark.parametrize("name", [name for name in TRAPS if name != "Ultra HDR"])
def test_what_has_no_gain_map_is_as_without_the_option(name: str) -> None:
    trap = TRAPS[name]()
    verdict, result = run(trap.source)
    plain, expected = run(trap.source, Options())
    assert (verdict.report.losses, result) == (plain.report.losses, expected)


def test_both_pictures_together_are_within_the_limit() -> None:
    source = UltraHdr().file()
    verdict, result = run(source, Options(hdr_gain_map=Choice.KEEP, max_bytes=len(source) - 1))
    assert (verdict.refusal, result) == (Refusal.TOO_LARGE, b"")
    assert run(source, Options(hdr_gain_map=Choice.KEEP, max_bytes=len(source)))[0].clean


KEPT = run(FILES["both forms"]().file())[1]
BEGIN = second_begins(KEPT)
PLAIN = picture()


def with_map(*segments: bytes) -> bytes:
    """As KEPT, but these segments in the gain map, and lengths that are right."""
    second = after_soi(KEPT[BEGIN:], *segments)
    delta = len(second) - (len(KEPT) - BEGIN)
    length = str(len(KEPT) - BEGIN).encode()
    first = KEPT[:BEGIN].replace(b'Length="' + length, b'Length="' + str(len(second)).encode())
    old, new = (size.to_bytes(4) for size in (len(KEPT) - BEGIN, len(KEPT) - BEGIN + delta))
    return first.replace(bytes(4) + old, bytes(4) + new) + second


FORBIDDEN = {
    "no second picture": KEPT[:BEGIN],
    "half a second picture": KEPT[:-100],
    "a byte between them": KEPT[:BEGIN] + b"x" + KEPT[BEGIN:],
    "a byte behind them": KEPT + b"x",
    "a third picture": KEPT + PLAIN,
    "a second picture that nobody speaks of": PLAIN + KEPT[BEGIN:],
    "a comment in the second": with_map(segment(0xFE, b"x")),
    "EXIF in the second": with_map(exif(6, b"camera")),
    "orientation in the second": with_map(KEPT[2:20], segment(0xE1, b"")),
    "another length": KEPT.replace(b'Item:Length="', b'Item:Length="1'),
    "another offset": KEPT[: KEPT.index(b"MPF\0") + 81] + b"\xff" + KEPT[KEPT.index(b"MPF\0") + 82 :],
    "a name that is not on the list": KEPT.replace(b"hdrgm:Gamma=", b"hdrgm:Camra="),
    "a word for a number": KEPT.replace(b'hdrgm:Gamma="1"', b'hdrgm:Gamma="x"'),
    "a number without end": KEPT.replace(b'hdrgm:Gamma="1"', b'hdrgm:Gamma="1234567"'),
    "something behind the packet": KEPT.replace(b"</x:xmpmeta>", b"</x:xmpmeta> ", 1),
    "flags of ISO that do not exist": KEPT.replace(ISO + bytes(4) + b"\x40", ISO + bytes(4) + b"\x50"),
    "no numbers in the second": KEPT[:BEGIN] + GREY,
}


def test_what_is_allowed_passes() -> None:
    """The test of the test."""
    found = verify(io.BytesIO(KEPT))
    assert found.size == len(KEPT)
    assert found.gain_map_crc32 == verify(io.BytesIO(GREY)).coded_crc32
    assert with_map() == KEPT


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_check_is_as_strict_with_two_pictures(name: str) -> None:
    assert FORBIDDEN[name] != KEPT
    with pytest.raises(NotCleanError):
        verify(io.BytesIO(FORBIDDEN[name]))


def test_a_joiner_that_errs_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed: another gain map than the one that was stripped is noticed."""
    whole = gainmap.join

    def other(sink: io.BytesIO, report: object, gain_map: gainmap.GainMap) -> None:
        gain_map.file.seek(0)
        gain_map.file.truncate()
        gain_map.file.write(picture("L", (16, 16)))
        whole(sink, report, gain_map)  # type: ignore[arg-type]

    monkeypatch.setattr(gainmap, "join", other)
    assert run(UltraHdr().file())[0].refusal is Refusal.NOT_CLEAN


def test_memory_does_not_grow_with_the_gain_map(tmp_path: Path) -> None:
    """30 MB of either picture's scan go through less than 5 MB."""

    def big(jpeg: bytes) -> bytes:
        at = jpeg.index(b"\xff\xda") + 14
        return jpeg[:at] + (b"\x12\x34" * 199 + b"\xff\x00") * 75_000 + EOI

    source = tmp_path / "big.jpg"
    source.write_bytes(UltraHdr(big(picture()), big(picture("RGB", (24, 24)))).file())
    with source.open("rb") as file, tempfile.TemporaryFile() as sink:
        tracemalloc.start()
        verdict = strip(file, sink, KEEP)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert verdict.report.kept["gain_map"].bytes > 30_000_000
    assert peak < 5_000_000


def test_an_index_with_entries_without_end_is_read_to_a_bound() -> None:
    whole = index([(n, 1) for n in range(100, 4000)], 0)[8:]
    assert len(mpf.offsets(whole)) <= 16
    assert mpf.offsets(whole[:60]) == []


def test_iso_numbers_are_cut_to_what_is_known() -> None:
    payload = iso(rest=b"secret")[4:]
    assert iso21496.rebuilt(payload) == iso()[4:]
    assert iso21496.rebuilt(ISO + bytes(4)) is None
