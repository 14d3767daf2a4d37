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

_BLOCK = 128 << 10  # bytes
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
_MARKER = re.compile(rb"\xff(?![\x00\xd0-\xd7\xff])")
"""Also an FF at the end of a block, of which the next block will tell what it is."""
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
    picture = _Proof(result)
    contents = picture.run(verify_gainmap.PRIMARY)
    if picture.gain_map:
        second = _Proof(result)
        found = second.run(verify_gainmap.GAIN_MAP)
        wrong = verify_gainmap.error(picture.gain_map, picture.place, second.gain_map, second.place)
        _expect(not wrong, wrong)
        _expect(found.orientation == 1, "a gain map has no orientation of its own")
        contents = replace(contents, size=found.size, gain_map_crc32=found.coded_crc32)
    _expect(result.read(1) == b"", "there are bytes behind EOI")
    return contents


class _Proof:
    def __init__(self, result: BinaryIO) -> None:
        self._in = result
        self._crc = 0
        self._marker = 0
        self._payload = b""
        self.gain_map: verify_gainmap.Found = {}
        self.place = verify_gainmap.Place(0, 0)

    def run(self, gain_map: verify_gainmap.Forms) -> Contents:
        """One picture, of which these segments may speak of a gain map."""
        begin = self._in.tell()
        _expect(self._in.read(2) == b"\xff\xd8", "SOI is missing")
        self._next()
        self._is(0xE0, _JFIF)
        orientation = self._if(0xE1, _ORIENTATION)
        for marker, form in gain_map:
            at = self._in.tell() - len(self._payload)
            if found := self._if(marker, form):
                self.gain_map[form] = (found, at)
        icc = self._profile()
        self._is(0xEE, _ADOBE)
        self._image()
        self.place = verify_gainmap.Place(begin, self._in.tell())
        return Contents(orientation[1][0] if orientation else 1, icc, self._in.tell(), self._crc)

    def _next(self) -> None:
        """Read a segment."""
        start = self._in.read(2)
        _expect(len(start) == 2 and start[0] == 0xFF, "a marker is missing")  # noqa: PLR2004 - a marker's bytes
        self._marker, self._payload = start[1], b""
        if self._marker != 0xD9:  # noqa: PLR2004 - EOI has no length
            length = int.from_bytes(self._in.read(2))
            self._payload = self._in.read(length - 2) if length > 1 else b""
            _expect(len(self._payload) == length - 2, "a segment is cut off")

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
        while self._marker != 0xD9:  # noqa: PLR2004 - EOI
            _expect(self._is_whole(), f"FF{self._marker:02X} is not allowed, or is not whole")
            _has_no_telltale(self._payload)
            frames += self._marker in _FRAMES
            whole = b"\xff%c%b%b" % (self._marker, (len(self._payload) + 2).to_bytes(2), self._payload)
            self._crc = zlib.crc32(whole, self._crc)
            if self._marker == 0xDA:  # noqa: PLR2004 - SOS
                scans += 1
                self._scan()
            self._next()
        _expect(frames == 1 and scans > 0, "there is no picture")

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
        while block := self._in.read(_BLOCK):
            found = _MARKER.search(block)
            end = found.start() if found else len(block)
            self._crc = zlib.crc32(memoryview(block)[:end], self._crc)
            before = block[end - _NEAR : end] if end >= _NEAR else before[end - _NEAR :] + block[:end]
            if end < len(block):
                self._in.seek(end - len(block), 1)
            if end < len(block) - 1:
                _has_no_telltale(before)
                return
            if block == b"\xff":
                break
        raise NotCleanError("EOI is missing")


def _has_no_telltale(coded: bytes) -> None:
    for mark in _TELLTALES:
        _expect(mark not in coded, f"the coded image holds {mark!r}")


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise NotCleanError(message)
