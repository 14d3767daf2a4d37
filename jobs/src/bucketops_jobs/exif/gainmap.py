"""The second picture of an Ultra HDR file: found behind the primary one, stripped like it, and joined to it anew.

Nothing of its own metadata is copied: hdrgm.py, iso21496.py and mpf.py write afresh what a viewer needs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

from bucketops_jobs.exif import hdrgm, iso21496, metadata, mpf
from bucketops_jobs.exif.header import segment
from bucketops_jobs.exif.marks import Marks
from bucketops_jobs.exif.reader import Reader
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, RefusedError, Report
from bucketops_jobs.exif.walk import Walk

_IN_MEMORY = 1 << 20
_BLOCK = 512 << 10
_MOST_BYTES = (1 << 32) - 1
"""Lengths in a multi-picture index have 32 bits."""
_JPEG = b"\xff\xd8\xff"
_BEFORE = ("jfif", "orientation")
"""Kinds of segments that come before those of a gain map."""


@dataclass
class GainMap:
    """A clean picture in a temporary file, without the segments that say what it is, and the numbers for these."""

    file: BinaryIO
    numbers: hdrgm.Numbers | None = None
    iso: bytes | None = None
    report: Report = field(default_factory=Report)
    coded_crc32: int = 0


def take(reader: Reader, marks: Marks, options: Options, report: Report) -> GainMap | None:
    """The gain map behind the primary picture, whose end `reader` has reached; None where there is none to be had.

    Whoever has it closes its file. `report` gets what was removed of it, and of whatever lay before it.
    """
    gain_map = GainMap(cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY)))  # noqa: SIM115 - closed by others
    try:
        for place in marks.places(reader.position):
            if _goes_to(reader, place, report) and _is_gain_map(reader, options, report, gain_map):
                return gain_map
    except RefusedError:
        pass  # what is no whole picture is a trailer; a source that is too large is refused by who reads its rest
    except BaseException:
        gain_map.file.close()
        raise
    gain_map.file.close()
    return None


def _goes_to(reader: Reader, place: int, report: Report) -> bool:
    """Whether a picture begins there."""
    begin = reader.position
    try:
        while reader.position < place:
            reader.take(min(_BLOCK, place - reader.position))
    finally:
        if reader.position > begin:
            report.remove("trailer", reader.position - begin)
    return reader.position == place and reader.peek(len(_JPEG)) == _JPEG


def _is_gain_map(reader: Reader, options: Options, report: Report, gain_map: GainMap) -> bool:
    """Strip the picture that begins here into `gain_map`; whether it is one."""
    begin, own = reader.position, gain_map.report
    empty(gain_map.file)
    walk = Walk(reader, gain_map.file, replace(options, orientation=Choice.DROP), own, open_end=False)
    found = False
    try:
        gain_map.coded_crc32 = walk.run()
        found = walk.marks.of_gain_map
    finally:
        report.losses |= own.losses & {"hdr_dropped"}
        if not found:
            gain_map.report = Report()
            report.remove("trailer_jpeg", reader.position - begin)
    if not found:
        return False
    gain_map.numbers, gain_map.iso = walk.marks.numbers, walk.marks.iso
    report.keep("gain_map", gain_map.file.tell())
    for kind, amount in own.removed.items():
        report.remove(kind, amount.bytes, amount.count)
    report.losses.discard("hdr_dropped")
    return True


def join(sink: BinaryIO, report: Report, gain_map: GainMap) -> None:
    """Put the gain map behind the clean picture in `sink`, and into both the segments that tell viewers of it.

    RefusedError where the index has no room for such lengths.
    """
    own = _segment(metadata.APP1, hdrgm.of_gain_map(gain_map.numbers) if gain_map.numbers else b"")
    own += _segment(metadata.APP2, gain_map.iso or b"")
    _insert(gain_map.file, _front(gain_map.report), own)
    second = _size(gain_map.file)
    told = _segment(metadata.APP1, hdrgm.of_primary(second) if gain_map.numbers else b"")
    told += _segment(metadata.APP2, iso21496.VERSION_ONLY if gain_map.iso else b"")
    front = _front(report)
    primary = _size(sink) + len(told) + 4 + mpf.BYTES
    if primary + second > _MOST_BYTES:
        raise RefusedError(Refusal.TOO_LARGE, "above 4 GiB no gain map can be kept: write hdrGainMap: Drop")
    offset = primary - (front + len(told) + 4 + len(mpf.SIGNATURE))
    told += _segment(metadata.APP2, mpf.index(primary, offset, second))
    _insert(sink, front, told)
    sink.seek(0, os.SEEK_END)
    gain_map.file.seek(0)
    shutil.copyfileobj(gain_map.file, sink, _BLOCK)
    report.keep("hdr_metadata", len(told) + len(own))


def _front(report: Report) -> int:
    """Where the segments of a gain map go: behind SOI, JFIF and the orientation."""
    return 2 + sum(report.kept[kind].bytes for kind in _BEFORE if kind in report.kept)


def _segment(marker: int, payload: bytes) -> bytes:
    return segment(marker, payload) if payload else b""


def _insert(file: BinaryIO, at: int, data: bytes) -> None:
    """Move what stands at `at` and behind it, from the end on, so that a block in memory is enough."""
    end = _size(file)
    while end > at:
        begin = max(at, end - _BLOCK)
        file.seek(begin)
        block = file.read(end - begin)
        file.seek(begin + len(data))
        file.write(block)
        end = begin
    file.seek(at)
    file.write(data)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def empty(file: BinaryIO) -> None:
    """Take all content away."""
    file.seek(0)
    file.truncate()
