"""The few values of an EXIF block that are looked at. Damage means that a value is not there.

https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6
"""

from __future__ import annotations

import struct

_ORIENTATION, _EXIF_IFD, _INTEROP_IFD, _INTEROP_INDEX = 0x0112, 0x8769, 0xA005, 0x0001
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_ENTRY = 12
_FORMATS = {1: "B", 3: "H", 4: "I"}
"""BYTE, SHORT, LONG: writers have used each of them for Orientation."""


class Tiff:
    """The directories of one block."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._order = _BYTE_ORDERS.get(block[:4], "")

    def orientation(self) -> int | None:
        """1 to 8, or None where there is none or another."""
        entry = self._entry(self._first(), _ORIENTATION)
        (kind,) = self._unpack("H", entry) or (0,)
        (number,) = self._unpack(_FORMATS.get(kind, "H"), entry[6:]) or (0,)
        return number if kind in _FORMATS and number in range(1, 9) else None

    def is_adobe_rgb(self) -> bool:
        """Whether the InteropIndex is R03: the colours are of Adobe RGB, and only EXIF says so (DCF 2.0)."""
        exif = self._pointer(self._first(), _EXIF_IFD)
        interop = self._pointer(exif, _INTEROP_IFD)
        return self._entry(interop, _INTEROP_INDEX)[6:].startswith(b"R03")

    def _first(self) -> int:
        return (self._unpack("I", self._block[4:]) or (0,))[0] if self._order else 0

    def _pointer(self, directory: int, tag: int) -> int:
        return (self._unpack("I", self._entry(directory, tag)[6:]) or (0,))[0]

    def _entry(self, directory: int, tag: int) -> bytes:
        """Type, count and value of a tag; empty where it is not there."""
        (count,) = self._unpack("H", self._block[directory:]) or (0,) if directory else (0,)
        wanted = struct.pack(self._order + "H", tag) if count else b""
        for at in range(directory + 2, min(directory + 2 + _ENTRY * count, len(self._block)), _ENTRY):
            if self._block[at : at + 2] == wanted:
                return self._block[at + 2 : at + _ENTRY]
        return b""

    def _unpack(self, form: str, data: bytes) -> tuple[int, ...] | None:
        form = self._order + form
        size = struct.calcsize(form)
        return struct.unpack(form, data[:size]) if len(data) >= size else None


def orientation_only(orientation: int) -> bytes:
    """The payload of an EXIF segment that has this tag and nothing else: 32 bytes."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    return b"Exif\x00\x00MM\x00*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
