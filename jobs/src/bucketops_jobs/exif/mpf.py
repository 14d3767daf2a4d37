"""The index of a file with several pictures (CIPA DC-007, Multi-Picture Format): read for places, written anew.

https://www.cipa.jp/std/documents/download_e.html?DC-007_E, 5.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

SIGNATURE = b"MPF\x00"
BYTES = 86
"""Of a payload that `index` writes."""
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_MOST_TAGS, _MOST_PICTURES = 64, 16
_VERSION, _COUNT, _ENTRIES = 0xB000, 0xB001, 0xB002
_LONG, _UNDEFINED = 4, 7
_TAG, _ENTRY = 12, 16
_PRIMARY = 0x00030000
"""Attribute of an entry: the "Baseline MP Primary Image"; 0 is a JPEG of no further kind."""


def offsets(block: bytes) -> list[int]:
    """Where the pictures but the first begin, from the first byte of `block` (a TIFF header); damage means none."""
    try:
        return [offset for offset in _offsets(block) if offset]
    except (struct.error, KeyError):
        return []


def _offsets(block: bytes) -> Iterator[int]:
    order = _BYTE_ORDERS[block[:4]]
    (directory,) = struct.unpack_from(f"{order}I", block, 4)
    (tags,) = struct.unpack_from(f"{order}H", block, directory)
    for at in range(directory + 2, directory + 2 + _TAG * min(tags, _MOST_TAGS), _TAG):
        tag, _, size, entries = struct.unpack_from(f"{order}HHII", block, at)
        if tag == _ENTRIES:
            for number in range(min(size // _ENTRY, _MOST_PICTURES)):
                yield struct.unpack_from(f"{order}I", block, entries + number * _ENTRY + 8)[0]


def index(primary_bytes: int, offset: int, second_bytes: int) -> bytes:
    """The payload of an APP2 segment: two pictures, the second `offset` bytes behind the TIFF header in it."""
    directory = 8
    entries = directory + 2 + 3 * _TAG + 4
    return (
        SIGNATURE
        + b"MM\x00*"
        + struct.pack(">IH", directory, 3)
        + struct.pack(">HHI4s", _VERSION, _UNDEFINED, 4, b"0100")
        + struct.pack(">HHII", _COUNT, _LONG, 1, 2)
        + struct.pack(">HHII", _ENTRIES, _UNDEFINED, 2 * _ENTRY, entries)
        + bytes(4)
        + struct.pack(">IIIHH", _PRIMARY, primary_bytes, 0, 0, 0)
        + struct.pack(">IIIHH", 0, second_bytes, offset, 0, 0)
    )
