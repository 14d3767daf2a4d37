"""One picture in one pass: header, scans, end. What is not on the list is not written."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from bucketops_jobs.exif import metadata, tables
from bucketops_jobs.exif.header import Header, segment
from bucketops_jobs.exif.reader import Reader
from bucketops_jobs.exif.verdict import Options, Refusal, RefusedError, Report

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_PARAMETERLESS = {0x01, *range(0xD0, 0xD8)}
"""TEM and RSTn: libjpeg passes over them between segments, without a word."""
_FORMATS = (
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftyp", "HEIC, AVIF or a video"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"BM", "BMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x01Exiv2", "an EXV file of Exiv2, metadata without a picture"),
)


class Walk:
    """Writes a clean picture to the sink; RefusedError where there is none to be had."""

    def __init__(self, reader: Reader, sink: BinaryIO, options: Options, report: Report, *, open_end: bool) -> None:
        self._reader = reader
        self._sink = sink
        self._options = options
        self._report = report
        self._open_end = open_end
        self._header = Header(options, report)
        self.marks = self._header.marks
        self._crc = 0
        self._segments = 0
        self._bytes = 0
        self._height: bool | None = None
        self.scanning = False
        """Whether the first scan has been reached."""

    def run(self) -> int:
        """Up to and with EOI; the CRC-32 of the coded image."""
        _must_be_jpeg(self._reader)
        marker = self._until_first_scan()
        self._write_header()
        while marker != tables.EOI:
            marker = self._scan() if marker == tables.SOS else self._between(marker)
        if not self._height:
            raise RefusedError(Refusal.CORRUPT_SEGMENT, "neither the frame nor a DNL segment says the picture's height")
        self._sink.write(_EOI)
        return self._crc

    def _until_first_scan(self) -> int:
        self._reader.take(len(_SOI))
        while (marker := self._next()) != tables.SOS:
            if marker == tables.EOI:
                raise RefusedError(Refusal.NO_IMAGE, "the file ends before the first scan: it holds no picture")
            if metadata.is_metadata(marker):
                self._header.application(marker, self._payload(), self._reader.position)
            elif marker in tables.SOF:
                self._header.table(marker, self._frame())
            elif marker in tables.TABLES:
                self._header.table(marker, self._payload())
            else:
                self._pass_over(marker)
        if self._height is None:
            raise RefusedError(Refusal.CORRUPT_SEGMENT, "a scan comes before the frame that it belongs to")
        return marker

    def _frame(self) -> bytes:
        if self._height is not None:
            raise RefusedError(Refusal.CORRUPT_SEGMENT, "there is a second frame")
        payload = self._payload()
        self._height = any(payload[1:3])
        return payload

    def _write_header(self) -> None:
        self._sink.write(_SOI)
        coded = []
        for kind, whole in self._header.segments():
            if kind == "coded":
                coded.append(whole)
            else:
                self._sink.write(whole)
            self._report.keep(kind, len(whole))
        self._coded(b"".join(coded))

    def _scan(self) -> int:
        """A scan's header and its entropy-coded data; the marker behind it."""
        self._keep(tables.SOS)
        self.scanning = True
        begin = self._reader.position
        ended = self._reader.scan(self._coded)
        self._report.keep("scan", self._reader.position - begin)
        if not ended and not self._open_end:
            raise RefusedError(Refusal.TRUNCATED, f"the file ends inside a scan, at byte {self._reader.read}")
        return self._next() if ended else tables.EOI

    def _between(self, marker: int) -> int:
        """A segment between scans."""
        if metadata.is_metadata(marker):
            payload = self._payload()
            self._report.remove(metadata.kind(marker, payload), len(payload) + 4)
        elif marker in tables.TABLES or marker == tables.DNL:
            self._keep(marker)
            self._height = self._height or marker == tables.DNL
        else:
            self._pass_over(marker)
        return self._next()

    def _next(self) -> int:
        """The marker of the next segment, behind what may lie before it."""
        marker, skipped, garbage = self._reader.marker()
        if garbage and self.scanning:  # a part of a scan that is damaged: to go on would shorten it
            at = self._reader.position - 2 - skipped
            raise RefusedError(Refusal.CORRUPT_SCAN, f"the scan is damaged: no marker where one must be, at byte {at}")
        if skipped:
            self._report.remove("garbage" if garbage else "fill", skipped)
            self._bound(skipped)
        self._segments += 1
        if self._segments > self._options.max_segments:
            raise RefusedError(Refusal.TOO_MANY_SEGMENTS, f"there are more than {self._options.max_segments} segments")
        return marker

    def _keep(self, marker: int) -> None:
        payload = self._payload()
        tables.check(marker, payload)
        self._coded(segment(marker, payload))
        self._report.keep("coded", len(payload) + 4)

    def _payload(self) -> bytes:
        payload = self._reader.payload()
        self._bound(len(payload) + 4)
        return payload

    def _bound(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._options.max_header_bytes:
            limit = self._options.max_header_bytes
            raise RefusedError(Refusal.HEADER_TOO_LARGE, f"the segments have more than {limit} bytes")

    def _pass_over(self, marker: int) -> None:
        """What may be left out without harm; RefusedError for everything else."""
        if marker in _PARAMETERLESS:
            self._report.remove("stray_marker", 2)
        elif marker == tables.DNL:
            self._report.remove("stray_marker", len(self._payload()) + 4)
        elif marker in tables.UNSUPPORTED and not self.scanning:
            raise RefusedError(
                Refusal.UNSUPPORTED, f"marker FF{marker:02X}: hierarchical pictures and JPEG-LS are not read"
            )
        else:
            reason = Refusal.CORRUPT_SCAN if self.scanning else Refusal.CORRUPT_SEGMENT
            raise RefusedError(reason, f"marker FF{marker:02X} cannot stand at byte {self._reader.position - 2}")

    def _coded(self, data: memoryview | bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._sink.write(data)


def _must_be_jpeg(reader: Reader) -> None:
    start = reader.peek(16)
    if not start:
        raise RefusedError(Refusal.EMPTY, "the file is empty")
    if start.startswith(_SOI):
        return
    found = next((name for at, magic, name in _FORMATS if start[at:].startswith(magic)), "something else")
    raise RefusedError(Refusal.NOT_JPEG, f"the content is no JPEG picture: it is {found}")
