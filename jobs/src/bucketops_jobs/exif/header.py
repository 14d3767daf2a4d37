"""What may stand before the first scan, written anew in the order of the standards.

SOI, JFIF, EXIF with an orientation alone, ICC, Adobe, then the tables and the frame as they came. All of it has bounds,
so it may wait in memory until the first scan shows that this is a picture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bucketops_jobs.exif import metadata, tables
from bucketops_jobs.exif.marks import Marks
from bucketops_jobs.exif.tiff import Tiff, orientation_only
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, RefusedError, Report

MOST_TABLE_BYTES = 1 << 20
"""Real pictures have some hundred; T.81 allows repetition without end."""
_JFIF_BYTES, _ADOBE_BYTES, _EXIF_BYTES, _ICC_BYTES = 14, 12, 6, 14
"""Of a payload: JFIF without its thumbnail, Adobe without what stands behind it, the signatures of EXIF and ICC."""
_ICC_CHUNK = 65_519
_ICC_HEADER = 128


class Header:
    """Collects segments, then gives them back as they may be written."""

    def __init__(self, options: Options, report: Report) -> None:
        self._options = options
        self._report = report
        self.marks = Marks()
        self._jfif: bytes | None = None
        self._adobe: bytes | None = None
        self._orientation: int | None = None
        self._adobe_rgb = False
        self._icc: list[bytes] = []
        self._tables: list[tuple[int, bytes]] = []
        self._table_bytes = 0

    def application(self, marker: int, payload: bytes, end: int = 0) -> None:
        """Take what the picture needs from an APPn or COM segment; the rest is counted and forgotten."""
        kind = metadata.kind(marker, payload)
        if kind == "jfif" and len(payload) >= _JFIF_BYTES:
            self._jfif = self._instead(kind, "thumbnail", self._jfif, payload[:12] + b"\x00\x00", len(payload))
        elif kind == "adobe" and len(payload) >= _ADOBE_BYTES:
            self._adobe = self._instead(kind, kind, self._adobe, payload[:_ADOBE_BYTES], len(payload))
        elif kind == "icc" and len(payload) > _ICC_BYTES and self._options.icc_profile is Choice.KEEP:
            self._icc.append(payload)
        else:
            if kind == "exif":
                self._look(Tiff(payload[_EXIF_BYTES:]))
            elif self._options.hdr_gain_map is Choice.KEEP:
                self.marks.look(kind, payload, end)
            self._report.remove(kind, len(payload) + 4)
            self._report.losses.update(metadata.losses(marker, payload))

    def _look(self, exif: Tiff) -> None:
        if self._orientation is None:
            self._orientation = exif.orientation()
        self._adobe_rgb |= exif.is_adobe_rgb()

    def _instead(self, kind: str, rest: str, before: bytes | None, now: bytes, size: int) -> bytes:
        """`now` in the place of `before` (libjpeg heeds the last one); what stood behind it in the segment is gone."""
        if before is not None:
            self._report.remove(kind, len(before) + 4)
        if size > len(now):
            self._report.remove(rest, size - len(now))
        return now

    def table(self, marker: int, payload: bytes) -> None:
        """Take a table or the frame, which must be whole."""
        tables.check(marker, payload)
        self._tables.append((marker, payload))
        self._table_bytes += len(payload)
        if self._table_bytes > MOST_TABLE_BYTES:
            raise RefusedError(Refusal.HEADER_TOO_LARGE, f"the tables have more than {MOST_TABLE_BYTES} bytes")

    def segments(self) -> Iterator[tuple[str, bytes]]:
        """What is written before the first scan, each with its kind; `coded` belongs to the coded image."""
        icc = self._profile()
        self._tell_losses(icc)
        if self._jfif:
            yield "jfif", segment(metadata.APP0, self._jfif)
        if self._report.orientation > 1 and self._options.orientation is not Choice.DROP:
            yield "orientation", segment(metadata.APP1, orientation_only(self._report.orientation))
        yield from (("icc", segment(metadata.APP2, chunk)) for chunk in icc)
        if self._adobe:
            yield "adobe", segment(metadata.APP14, self._adobe)
        yield from (("coded", segment(marker, payload)) for marker, payload in self._tables)

    def _profile(self) -> list[bytes]:
        """The chunks of the profile in order, if they are one (https://www.color.org/icc_specs2.xalter, annex B.4).

        libjpeg and browsers ask for each chunk exactly once, and so do we: nobody would see the profile of other ones.
        """
        chunks = sorted(self._icc, key=lambda chunk: chunk[12])
        numbers = [(chunk[12], chunk[13]) for chunk in chunks]
        profile = b"".join(chunk[_ICC_BYTES:] for chunk in chunks)
        if numbers == [(n, len(chunks)) for n in range(1, len(chunks) + 1)] and profile[36:40] == b"acsp":
            return self._without_padding(chunks, profile)
        for chunk in chunks:
            self._report.remove("icc", len(chunk) + 4)
            self._report.losses.add("icc_invalid")
        return []

    def _without_padding(self, chunks: list[bytes], profile: bytes) -> list[bytes]:
        """A profile says its length; what stands behind it is none of it."""
        (length,) = struct.unpack_from(">I", profile)
        if not _ICC_HEADER <= length < len(profile):
            return chunks
        cut = _chunks(profile[:length])
        self._report.remove("icc_padding", sum(len(c) + 4 for c in chunks) - sum(len(c) + 4 for c in cut))
        return cut

    def _tell_losses(self, icc: list[bytes]) -> None:
        self._report.orientation = self._orientation or 1
        if self._report.orientation > 1 and self._options.orientation is Choice.DROP:
            self._report.losses.add("orientation_dropped")
        if self._options.icc_profile is Choice.DROP and "icc" in self._report.removed:
            self._report.losses.add("icc_dropped")
        if self._adobe_rgb and not icc:
            self._report.losses.add("colorspace_dropped")


def segment(marker: int, payload: bytes) -> bytes:
    """A whole segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _chunks(profile: bytes) -> list[bytes]:
    parts = [profile[at : at + _ICC_CHUNK] for at in range(0, len(profile), _ICC_CHUNK)]
    return [metadata.ICC + bytes((number, len(parts))) + part for number, part in enumerate(parts, start=1)]
