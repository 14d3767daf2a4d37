"""Reads a result again and proves that it holds only what is allowed.

This is the second opinion: it shares no code with the walk that wrote the result, knows nothing of its source, and has
no patience. It expects one order and one form, and whatever differs is an error.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from typing import BinaryIO

from bucketops_jobs.exif import verify_gainmap

_BLOCK = 256 << 10  # bytes
_JFIF = re.compile(rb"JFIF\x00.{7}\x00\x00", re.DOTALL)
_ORIENTATION = re.compile(
    rb"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x02-\x08])\x00\x00\x00\x00\x00\x00"
)
_ADOBE = re.compile(rb"Adobe.{7}", re.DOTALL)
_CODED = {
    0xDB: re.compile(rb"(?:[\x00-\x03].{64}|[\x10-\x13].{128})+", re.DOTALL),
    0xCC: re.compile(rb"(?:[\x00-\x1f].)*", re.DOTALL),
    0xDD: re.compile(rb"..", re.DOTALL),
    0xDC: re.compile(rb"..", re.DOTALL),
    0xDA: re.compile(rb"(?:\x01.{2}|\x02.{4}|\x03.{6}|\x04.{8}).{3}", re.DOTALL),
}
_FRAMES = b"\xc0\xc1\xc2\xc3\xc9\xca\xcb"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_TELLTALES = (b"Exif\x00\x00", b"http://ns.adobe.com/", b"Photoshop 3.0", b"ftypmp4", b"ftypisom")
"""Metadata behind a lost EOI, or hidden in a table; chance makes one of them once in 2^48 bytes."""
_NEAR = 16 << 10
"""Bytes before the end of a scan that are searched for them. What does not belong to a scan soon has a marker that
cannot stand in one, and is refused for that; only if FF D9 comes first, it ends here, and it begins not far before."""


class NotCleanError(ValueError):
    """The result holds something that must not be there, or lacks something."""


@dataclass(frozen=True)
class Contents:
    """What a result was found to hold."""

    orientation: int
    icc: bool
    size: int
    coded_crc32: int
    gain_map_crc32: int | None = None
    """Of the coded image of a second picture, if there is one."""


def verify(result: BinaryIO) -> Contents:
    """Read all of `result`, from its beginning; NotCleanError unless every byte of it is allowed."""
    result.seek(0)
    proof = _Proof(result)
    contents = proof.run(verify_gainmap.PRIMARY)
    if told := proof.gain_map:
        place, second = proof.place, proof.run(verify_gainmap.GAIN_MAP)
        wrong = verify_gainmap.error(told, place, proof.gain_map, proof.place)
        _expect(not wrong, wrong)
        _expect(second.orientation == 1, "a gain map has no orientation of its own")
        contents = replace(contents, size=second.size, gain_map_crc32=second.coded_crc32)
    proof.end()
    return contents


class _Proof:
    def __init__(self, result: BinaryIO) -> None:
        self._in = result
        self._data = b""
        """What was read last; of it, what begins at `_at` is still to be looked at."""
        self._at = 0
        self._ended = False
        self._crc = 0
        self._marker = 0
        self._segment = self._payload = b""
        self.gain_map: verify_gainmap.Found = {}
        """What the last picture says of a gain map."""
        self.place = verify_gainmap.Place(0, 0)
        """Where the last picture lies."""

    def run(self, gain_map: verify_gainmap.Forms) -> Contents:
        """The next picture, of which these segments may speak of a gain map."""
        begin, self._crc, self.gain_map = self._tell(), 0, {}
        _expect(self._peek(2) == b"\xff\xd8", "SOI is missing")
        self._at += 2
        self._next()
        self._is(0xE0, _JFIF)
        orientation = self._if(0xE1, _ORIENTATION)
        for marker, form in gain_map:
            at = self._tell() - len(self._payload)
            if found := self._if(marker, form):
                self.gain_map[form] = (found, at)
        icc = self._profile()
        self._is(0xEE, _ADOBE)
        self._image()
        self.place = verify_gainmap.Place(begin, self._tell())
        return Contents(orientation[1][0] if orientation else 1, icc, self._tell(), self._crc)

    def end(self) -> None:
        """Nothing follows."""
        _expect(self._peek(1) == b"", "there are bytes behind EOI")

    def _tell(self) -> int:
        return self._in.tell() - len(self._data) + self._at

    def _peek(self, size: int) -> bytes:
        """The next `size` bytes, which stay; fewer at the end."""
        while len(self._data) - self._at < size and not self._ended:
            self._more()
        return self._data[self._at : self._at + size]

    def _more(self) -> None:
        """Read a block behind what is left."""
        block = self._in.read(_BLOCK)
        self._ended = block == b""
        self._data, self._at = self._data[self._at :] + block, 0

    def _next(self) -> None:
        """Read a segment."""
        start = self._peek(4)
        _expect(len(start) > 1 and start[0] == 0xFF, "a marker is missing")  # noqa: PLR2004 - a marker's bytes
        self._marker = start[1]
        size = 2 if self._marker == 0xD9 else 2 + int.from_bytes(start[2:])  # noqa: PLR2004 - EOI has no length
        self._segment = self._peek(size)
        _expect(len(self._segment) == size and (size > 3 or self._marker == 0xD9), "a segment is cut off")  # noqa: PLR2004 - a marker and its length
        self._payload = self._segment[4:]
        self._at += size

    def _if(self, marker: int, form: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """If this is a segment of that form, the next one is read."""
        found = form.fullmatch(self._payload) if self._marker == marker else None
        if found:
            self._next()
        return found

    def _is(self, marker: int, form: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """If this is such a segment, it must have that form, and the next one is read."""
        if self._marker != marker:
            return None
        found = form.fullmatch(self._payload)
        _expect(found is not None, f"FF{marker:02X} holds more than it may")
        self._next()
        return found

    def _profile(self) -> bool:
        parts: list[bytes] = []
        total = 0
        while self._marker == 0xE2:  # noqa: PLR2004 - APP2
            parts.append(self._payload)
            total = self._payload[13] if len(self._payload) > 14 else 0  # noqa: PLR2004 - signature, number, total
            _expect(
                self._payload.startswith(b"ICC_PROFILE\0" + bytes((len(parts), total))), "APP2 is no part of a profile"
            )
            self._next()
        _expect(len(parts) == total, "the ICC profile lacks parts")
        if parts:
            length = sum(len(part) - 14 for part in parts)
            _expect(parts[0][50:54] == b"acsp", "APP2 is no ICC profile")
            _expect(int.from_bytes(parts[0][14:18]) >= length or int.from_bytes(parts[0][14:18]) < 128, "ICC is padded")  # noqa: PLR2004
        return bool(parts)

    def _image(self) -> None:
        frames = scans = 0
        segments = b""
        while self._marker != 0xD9:  # noqa: PLR2004 - EOI
            _expect(self._is_whole(), f"FF{self._marker:02X} is not allowed, or is not whole")
            frames += self._marker in _FRAMES
            segments += self._segment
            if self._marker == 0xDA:  # noqa: PLR2004 - SOS
                scans += 1
                self._tables(segments)
                self._scan()
                segments = b""
            elif len(segments) > _NEAR:
                self._tables(segments)
                segments = b""
            self._next()
        self._tables(segments)
        _expect(frames == 1 and scans > 0, "there is no picture")

    def _tables(self, segments: bytes) -> None:
        _has_no_telltale(segments)
        self._crc = zlib.crc32(segments, self._crc)

    def _is_whole(self) -> bool:
        if self._marker in _FRAMES:
            return len(self._payload) > 6 and len(self._payload) == 6 + 3 * self._payload[5]  # noqa: PLR2004 - T.81, B.2.2
        if self._marker == 0xC4:  # noqa: PLR2004 - DHT
            rest = self._payload
            while len(rest) > 16 and rest[0] & 0xEC == 0:  # noqa: PLR2004 - class and number, 16 counts
                rest = rest[17 + sum(rest[1:17]) :] if len(rest) >= 17 + sum(rest[1:17]) else b"?"
            return rest == b""
        return self._marker in _CODED and _CODED[self._marker].fullmatch(self._payload) is not None

    def _scan(self) -> None:
        """Entropy-coded data: every FF in it is stuffed, a restart or a fill byte, until a marker comes."""
        before = b""
        while not (found := _MARKER.search(self._data, self._at)):
            before = (before + self._coded(len(self._data) - self._data.endswith(b"\xff")))[-_NEAR:]
            self._more()
            _expect(not self._ended, "EOI is missing")
        _has_no_telltale((before + self._coded(found.start()))[-_NEAR:])

    def _coded(self, end: int) -> bytes:
        """Count what stands before `end` as a part of the coded image; its last bytes."""
        self._crc = zlib.crc32(memoryview(self._data)[self._at : end], self._crc)
        begin, self._at = max(self._at, end - _NEAR), end
        return self._data[begin:end]


def _has_no_telltale(coded: bytes) -> None:
    for mark in _TELLTALES:
        if mark in coded:
            raise NotCleanError(f"the coded image holds {mark!r}")


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise NotCleanError(message)
