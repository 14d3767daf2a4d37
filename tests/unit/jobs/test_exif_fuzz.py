"""Mutated files: no crash, no hang, no leak, whatever comes in."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options
from bucketops_jobs.exif.verify import verify
from support import corpus
from support.examples import examples
from support.jpegs import EOI, SOI, pixels
from support.traps import CANARY, TRAPS
from support.ultrahdr import UltraHdr, hdrgm, iso

SMALL = 20_000  # bytes: mutations of larger files seldom meet a header
SOURCES = [trap().source for trap in TRAPS.values()] + [
    content for file in corpus.FILES if len(content := file.read_bytes()) < SMALL
]
SOURCES = [source for source in SOURCES if len(source) < SMALL]
MARKERS = [
    b"\xff" + bytes((code,)) for code in (0, 1, 0xC0, 0xC4, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1, 0xFE, 0xFF)
]
ORIENTATION = rb"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12"
METADATA = re.compile(rb"Exif\x00\x00(?!%b)|http://ns\.adobe\.com/|Photoshop 3\.0" % ORIENTATION)


SPAN, BYTES, SOURCE = st.integers(0, 600), st.binary(max_size=20), st.sampled_from(SOURCES)
WOUNDS: list[Callable[[bytes, int, st.DrawFn], bytes]] = [
    lambda data, at, draw: data[:at] + bytes((draw(st.integers(0, 255)),)) + data[at + 1 :],
    lambda data, at, draw: data[:at] + data[at + draw(SPAN) :],
    lambda data, at, draw: data[:at] + draw(BYTES) + data[at:],
    lambda data, at, draw: data[:at] + draw(st.sampled_from(MARKERS)) + data[at:],
    lambda data, at, draw: data[:at] + data[at : at + draw(SPAN)] + data[at:],
    lambda data, at, draw: data[:at] + draw(SOURCE)[draw(SPAN) :][: draw(SPAN)] + data[at:],
    lambda data, at, draw: data[: at if draw(st.booleans()) else None],
]


@st.composite
def mutated(draw: st.DrawFn, sources: st.SearchStrategy[bytes] = SOURCE) -> bytes:
    """A file with up to eight wounds, most of them where the header is."""
    data = draw(sources)
    for wound in draw(st.lists(st.sampled_from(WOUNDS), min_size=1, max_size=8)):
        at = draw(st.one_of(st.integers(0, min(700, len(data))), st.integers(0, len(data))))
        data = wound(data, at, draw)
    return data


@settings(max_examples=examples(600), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutated())
def test_whatever_comes_in_nothing_leaks(source: bytes) -> None:
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(source), sink, Options(max_segments=500))
    result = sink.getvalue()
    if not verdict.clean:
        assert result == b""
        assert verdict.message
        return
    assert result.startswith(SOI)
    assert result.endswith(EOI)
    assert not METADATA.search(result)
    assert verdict.clean_bytes == len(result) <= len(source) + 36 + len(EOI)
    again = io.BytesIO()
    assert strip(io.BytesIO(result), again).clean
    assert again.getvalue() == result
    accounted = sum(amount.bytes for amount in verdict.report.removed.values())
    accounted += sum(amount.bytes for kind, amount in verdict.report.kept.items() if kind != "orientation")
    assert len(source) - accounted in {len(SOI), len(SOI + EOI)}
    if len(source) - accounted == len(SOI + EOI):  # without EOI, libjpeg takes a part of the trailer for the scan
        _same_pixels(source, result)


HDR_SOURCES = [
    UltraHdr().file(),
    UltraHdr(map_segments=hdrgm() + iso(3)).file(),
    UltraHdr(map_segments=iso(common=True), with_directory=False, trailer=b"tail").file(),
]


@settings(max_examples=examples(600))
@given(mutated(st.sampled_from(HDR_SOURCES)))
def test_whatever_comes_in_no_gain_map_leaks(source: bytes) -> None:
    sink = io.BytesIO()
    options = Options(max_segments=500, hdr_gain_map=Choice.KEEP)
    verdict = strip(io.BytesIO(source), sink, options)
    result = sink.getvalue()
    if not verdict.clean:
        assert result == b""
        return
    found = verify(io.BytesIO(result))
    assert (found.size, found.gain_map_crc32 is not None) == (len(result), "gain_map" in verdict.report.kept)
    assert CANARY not in result or CANARY in _coded(result)
    again = io.BytesIO()
    assert strip(io.BytesIO(result), again, options).clean
    assert again.getvalue() == result
    accounted = sum(amount.bytes for amount in verdict.report.removed.values())
    own = {"orientation", "hdr_metadata"}
    accounted += sum(amount.bytes for kind, amount in verdict.report.kept.items() if kind not in own)
    assert len(source) - accounted in {len(SOI), len(SOI + EOI)}


def _coded(result: bytes) -> bytes:
    """Where a mutation may have put anything: no one can tell a table from a secret that has its form."""
    told = re.search(rb'Item:Length="(\d+)"', result)
    first = len(result) - int(told[1]) if told else len(result)
    return b"".join(map(_without_head, (result[:first], result[first:])))


def _without_head(picture: bytes) -> bytes:
    """What follows the application segments of a picture."""
    at = len(SOI)
    while picture[at : at + 1] == b"\xff" and 0xE0 <= picture[at + 1] <= 0xEF:
        at += 2 + int.from_bytes(picture[at + 2 : at + 4])
    return picture[at:]


def _same_pixels(source: bytes, result: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = pixels(source)
        except Exception as error:  # noqa: BLE001 - Pillow raises many kinds for broken files
            note(f"Pillow cannot read the source: {error!r}")
            return
        assert pixels(result) == wanted


@settings(max_examples=examples(300))
@given(st.binary(max_size=400), st.booleans())
def test_noise_is_refused_without_a_crash(noise: bytes, begins: bool) -> None:
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(SOI * begins + noise), sink)
    assert verdict.clean == bool(sink.getvalue())
